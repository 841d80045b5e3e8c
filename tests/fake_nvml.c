/* A stand-in for libnvidia-ml.so.1: energy counters and power readings that follow a power trace
 * in real time. The file named by FAKE_NVML, read at nvmlInit, says what there is, one item a line:
 *   start <monotonic s>      time 0 of every trace        init <code>     what nvmlInit returns
 *   device <uuid> <tick s> <phase s> <limit mW, 0: not told> <mig 0|1> <offset mJ> <name>
 *   segment <seconds> <watts> [<watts at its end>]    of the last device's trace, which repeats
 *   trace <path>                  such segments without the first word, from a file
 *   live <path>                   lines "<monotonic s> <watts>", appended while it runs: each level
 *                                 holds until the next; before the first the first segment's watts
 *   power <usage s> <average s> <instant s> <renewed every s>    what each reading averages over,
 *                                 0: the board does not have it
 *   architecture <number>         as NVML counts them
 *   wrap <joules>                 the counter starts again from 0 there
 *   event <at s> error <code>     from then on the counter call fails
 *   event <at s> power <code>     from then on the power calls fail
 *   event <at s> lost <code>      from then on every call on the device fails
 *   event <at s> reset            the counter starts again from 0
 *   process <pid>                 computes on the last device
 * -DMINIMAL leaves out every call but those without which nothing can be read, -DNO_COUNTER the
 * energy counter.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { OK = 0, INVALID = 2, NOT_SUPPORTED = 3, INSUFFICIENT = 7, DEVICES = 64, SEGMENTS = 512,
       LEVELS = 8192, PROCESSES = 8 };

typedef struct {
    char uuid[96], name[96], live[512];
    double tick, phase, wrap;
    unsigned limit, mig, architecture, pids[PROCESSES], processes;
    unsigned long long offset;
    int segments, levels;
    double seconds[SEGMENTS], watts[SEGMENTS], last[SEGMENTS], period, joules;
    double usage, average, instant, renewed;
    double error_at, power_at, lost_at, reset_at;
    int error, power_error, lost;
    double *at, *level;
    long live_size;
} Device;

static Device devices[DEVICES];
static int count, init_code;
static double start;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + 1e-9 * t.tv_nsec - start;
}

static void add_segment(Device *d, double seconds, double first, double last) {
    if (d->segments == SEGMENTS) return;
    int i = d->segments++;
    d->seconds[i] = seconds, d->watts[i] = first, d->last[i] = last;
    d->period += seconds;
    d->joules += seconds * (first + last) / 2;
}

static void read_live(Device *d) {
    struct stat status;
    if (stat(d->live, &status) || status.st_size == d->live_size) return;
    FILE *file = fopen(d->live, "r");
    if (!file) return;
    if (!d->at) d->at = malloc(LEVELS * sizeof(double)), d->level = malloc(LEVELS * sizeof(double));
    char line[128];
    d->levels = 0;
    while (d->levels < LEVELS && fgets(line, sizeof line, file))  /* half a line is not there yet */
        if (strchr(line, '\n') && sscanf(line, "%lf %lf", &d->at[d->levels], &d->level[d->levels]) == 2)
            d->at[d->levels++] -= start;
    d->live_size = status.st_size;
    fclose(file);
}

static double energy(Device *d, double t) {
    if (d->live[0]) {
        read_live(d);
        double joules = 0, from = 0, watts = d->segments ? d->watts[0] : 0;
        for (int i = 0; i < d->levels && d->at[i] < t; i++) {
            joules += (d->at[i] - from) * watts;
            from = d->at[i], watts = d->level[i];
        }
        return joules + (t - from) * watts;
    }
    double cycles = floor(t / d->period), joules = cycles * d->joules, left = t - cycles * d->period;
    for (int i = 0; i < d->segments && left > 0; i++) {
        double part = left < d->seconds[i] ? left : d->seconds[i];
        joules += part * (d->watts[i] + (d->last[i] - d->watts[i]) * part / (2 * d->seconds[i]));
        left -= part;
    }
    return joules;
}

static void read_trace(Device *d, const char *path) {
    FILE *file = fopen(path, "r");
    char line[128];
    double seconds, first, last;
    while (file && fgets(line, sizeof line, file)) {
        int words = sscanf(line, "%lf %lf %lf", &seconds, &first, &last);
        if (words >= 2) add_segment(d, seconds, first, words == 3 ? last : first);
    }
    if (file) fclose(file);
}

static void read_event(Device *d, double at, const char *kind, int code) {
    if (strcmp(kind, "reset") == 0) d->reset_at = at;
    else if (strcmp(kind, "power") == 0) d->power_at = at, d->power_error = code;
    else if (strcmp(kind, "lost") == 0) d->lost_at = at, d->lost = code;
    else d->error_at = at, d->error = code;
}

static void read_device_line(Device *d, const char *line) {
    char kind[32], path[512];
    double at, first, last;
    int code = 0, words;
    if ((words = sscanf(line, "segment %lf %lf %lf", &at, &first, &last)) >= 2)
        add_segment(d, at, first, words == 3 ? last : first);
    else if (sscanf(line, "event %lf %31s %d", &at, kind, &code) >= 2) read_event(d, at, kind, code);
    else if (sscanf(line, "trace %511s", path) == 1) read_trace(d, path);
    else if (sscanf(line, "live %511s", d->live) == 1) return;
    else if (sscanf(line, "power %lf %lf %lf %lf", &d->usage, &d->average, &d->instant, &d->renewed) == 4) return;
    else if (sscanf(line, "architecture %u", &d->architecture) == 1) return;
    else if (sscanf(line, "wrap %lf", &d->wrap) == 1) return;
    else if (d->processes < PROCESSES && sscanf(line, "process %u", &d->pids[d->processes]) == 1) d->processes++;
}

int nvmlInitWithFlags(unsigned flags) {
    char line[640];
    FILE *file = fopen(getenv("FAKE_NVML"), "r");
    count = init_code = 0;
    Device *d = NULL;
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "start %lf", &start) == 1 || sscanf(line, "init %d", &init_code) == 1) continue;
        if (strncmp(line, "device", 6) == 0) {
            d = &devices[count++];
            memset(d, 0, sizeof *d);
            d->error_at = d->power_at = d->lost_at = d->reset_at = INFINITY;
            sscanf(line, "device %95s %lf %lf %u %u %llu %95[^\n]", d->uuid, &d->tick, &d->phase,
                   &d->limit, &d->mig, &d->offset, d->name);
        } else if (d) read_device_line(d, line);
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

#ifndef NO_COUNTER
int nvmlDeviceGetTotalEnergyConsumption(Device *d, unsigned long long *millijoules) {
    double t = now();
    if (t >= d->lost_at) return d->lost;
    if (t >= d->error_at) return d->error;
    double ticked = floor((t - d->phase) / d->tick) * d->tick + d->phase;
    double joules = energy(d, ticked);
    if (ticked >= d->reset_at) joules -= energy(d, d->reset_at);
    else joules += d->offset / 1000.0;
    *millijoules = 1000 * (d->wrap > 0 ? fmod(joules, d->wrap) : joules);
    return OK;
}
#endif

#ifndef MINIMAL
/* the mean over so many seconds before the last renewal, in mW */
static int power(Device *d, double seconds, unsigned *milliwatts) {
    double t = now();
    if (t >= d->lost_at) return d->lost;
    if (t >= d->power_at) return d->power_error;
    if (!(seconds > 0)) return NOT_SUPPORTED;
    if (d->renewed > 0) t = floor(t / d->renewed) * d->renewed;
    *milliwatts = 1000 * (energy(d, t) - energy(d, t - seconds)) / seconds;
    return OK;
}

int nvmlDeviceGetPowerUsage(Device *d, unsigned *milliwatts) { return power(d, d->usage, milliwatts); }

typedef struct {
    unsigned id, scope;
    long timestamp, latency;
    unsigned type, result;
    union { double number; unsigned value; unsigned long long wide; } value;
} Field;

int nvmlDeviceGetFieldValues(Device *d, int n, Field *fields) {
    if (now() >= d->lost_at) return d->lost;
    for (int i = 0; i < n; i++) {
        double seconds = fields[i].id == 185 ? d->average : fields[i].id == 186 ? d->instant : 0;
        fields[i].result = power(d, seconds, &fields[i].value.value);
        fields[i].type = 1;
    }
    return OK;
}

#define LOST if (now() >= d->lost_at) return d->lost
const char *nvmlErrorString(int code) { return "an error of the stand-in"; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = count; return OK; }
int nvmlDeviceGetUUID(Device *d, char *text, unsigned size) { snprintf(text, size, "%s", d->uuid); return OK; }
int nvmlDeviceGetName(Device *d, char *text, unsigned size) { snprintf(text, size, "%s", d->name); return OK; }
int nvmlDeviceGetMigMode(Device *d, unsigned *current, unsigned *pending) { *current = *pending = d->mig; return OK; }
int nvmlDeviceGetArchitecture(Device *d, unsigned *number) { *number = d->architecture; return d->architecture ? OK : NOT_SUPPORTED; }
int nvmlDeviceGetEnforcedPowerLimit(Device *d, unsigned *mw) { LOST; *mw = d->limit; return d->limit ? OK : NOT_SUPPORTED; }
int nvmlDeviceGetPowerManagementDefaultLimit(Device *d, unsigned *mw) { *mw = d->limit; return d->limit ? OK : NOT_SUPPORTED; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { snprintf(text, size, "600.01"); return OK; }
int nvmlDeviceGetTemperature(Device *d, int sensor, unsigned *celsius) { LOST; *celsius = 41; return OK; }
int nvmlDeviceGetClockInfo(Device *d, int kind, unsigned *mhz) { LOST; *mhz = kind == 2 ? 2619 : 1755; return OK; }
int nvmlDeviceGetCurrentClocksThrottleReasons(Device *d, unsigned long long *bits) { LOST; *bits = 0x4 | 0x20; return OK; }

typedef struct { unsigned long long total, free, used; } Memory;
int nvmlDeviceGetMemoryInfo(Device *d, Memory *memory) {
    LOST;
    *memory = (Memory){80ull << 30, 79ull << 30, 1ull << 30};
    return OK;
}

typedef struct { unsigned pid; unsigned long long memory; unsigned gpu, compute; } Process;
int nvmlDeviceGetComputeRunningProcesses_v3(Device *d, unsigned *n, Process *list) {
    if (!d->processes) { *n = 0; return OK; }
    if (!list) { *n = d->processes; return INSUFFICIENT; }
    *n = d->processes;
    for (unsigned i = 0; i < d->processes; i++) list[i] = (Process){d->pids[i], 0, 0, 0};
    return OK;
}
#endif
