/* A stand-in for libnvidia-ml.so.1: energy counters that follow a power trace in real time.
 * The file named by FAKE_NVML, read at nvmlInit, says what there is, one item a line:
 *   start <monotonic s>      time 0 of every trace        init <code>     what nvmlInit returns
 *   device <uuid> <tick s> <phase s> <limit mW, 0: not told> <mig 0|1> <offset mJ> <name>
 *   segment <seconds> <watts>     of the last device's trace, which repeats
 *   event <at s> error <code>     from then on the counter call fails
 *   event <at s> reset            the counter starts again from 0
 *   process <pid>                 computes on the last device
 * -DMINIMAL leaves out every call but those without which nothing can be read.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, INSUFFICIENT = 7, DEVICES = 64, SEGMENTS = 64 };

typedef struct {
    char uuid[96], name[96];
    double tick, phase;
    unsigned limit, mig, pid;
    unsigned long long offset;
    int segments;
    double seconds[SEGMENTS], watts[SEGMENTS], period, joules;
    double error_at, reset_at;
    int error;
} Device;

static Device devices[DEVICES];
static int count, init_code;
static double start;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec - start;
}

static double energy(const Device *d, double t) {
    double cycles = floor(t / d->period), joules = cycles * d->joules, left = t - cycles * d->period;
    for (int i = 0; i < d->segments && left > 0; i++) {
        double part = left < d->seconds[i] ? left : d->seconds[i];
        joules += part * d->watts[i];
        left -= part;
    }
    return joules;
}

int nvmlInitWithFlags(unsigned flags) {
    char line[512], kind[32];
    FILE *file = fopen(getenv("FAKE_NVML"), "r");
    count = init_code = 0;
    Device *d = NULL;
    while (file && fgets(line, sizeof line, file)) {
        double at;
        int code;
        if (sscanf(line, "start %lf", &start) == 1 || sscanf(line, "init %d", &init_code) == 1) continue;
        if (strncmp(line, "device", 6) == 0) {
            d = &devices[count++];
            memset(d, 0, sizeof *d);
            d->error_at = d->reset_at = INFINITY;
            sscanf(line, "device %95s %lf %lf %u %u %llu %95[^\n]", d->uuid, &d->tick, &d->phase,
                   &d->limit, &d->mig, &d->offset, d->name);
        } else if (strncmp(line, "segment", 7) == 0) {
            int i = d->segments++;
            sscanf(line, "segment %lf %lf", &d->seconds[i], &d->watts[i]);
            d->period += d->seconds[i];
            d->joules += d->seconds[i] * d->watts[i];
        } else if (sscanf(line, "event %lf %31s %d", &at, kind, &code) >= 2) {
            if (strcmp(kind, "reset") == 0) d->reset_at = at;
            else d->error_at = at, d->error = code;
        } else sscanf(line, "process %u", &d->pid);
    }
    if (file) fclose(file);
    return init_code;
}

int nvmlShutdown(void) { return OK; }

int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device **handle) {
    if (index >= (unsigned)count) return INVALID;
    *handle = &devices[index];
    return OK;
}

int nvmlDeviceGetTotalEnergyConsumption(Device *d, unsigned long long *millijoules) {
    double t = now();
    if (t >= d->error_at) return d->error;
    double ticked = floor((t - d->phase) / d->tick) * d->tick + d->phase;
    double joules = energy(d, ticked);
    if (ticked >= d->reset_at) *millijoules = 1000 * (joules - energy(d, d->reset_at));
    else *millijoules = d->offset + (unsigned long long)(1000 * joules);
    return OK;
}

#ifndef MINIMAL
const char *nvmlErrorString(int code) { return "an error of the stand-in"; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = count; return OK; }
int nvmlDeviceGetUUID(Device *d, char *text, unsigned size) { snprintf(text, size, "%s", d->uuid); return OK; }
int nvmlDeviceGetName(Device *d, char *text, unsigned size) { snprintf(text, size, "%s", d->name); return OK; }
int nvmlDeviceGetMigMode(Device *d, unsigned *current, unsigned *pending) { *current = *pending = d->mig; return OK; }
int nvmlDeviceGetEnforcedPowerLimit(Device *d, unsigned *mw) { *mw = d->limit; return d->limit ? OK : NOT_SUPPORTED; }
int nvmlDeviceGetPowerManagementDefaultLimit(Device *d, unsigned *mw) { *mw = d->limit; return d->limit ? OK : NOT_SUPPORTED; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { snprintf(text, size, "600.01"); return OK; }
int nvmlDeviceGetTemperature(Device *d, int sensor, unsigned *celsius) { *celsius = 41; return OK; }

typedef struct { unsigned pid; unsigned long long memory; unsigned gpu, compute; } Process;
int nvmlDeviceGetComputeRunningProcesses_v3(Device *d, unsigned *n, Process *list) {
    if (!d->pid) { *n = 0; return OK; }
    if (!list) { *n = 1; return INSUFFICIENT; }
    *n = 1;
    list[0] = (Process){d->pid, 0, 0, 0};
    return OK;
}
#endif
