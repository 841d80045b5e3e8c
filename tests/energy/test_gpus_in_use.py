"""Which GPUs count as used by this process, asked of torch or the driver."""

import subprocess
import textwrap

import pytest

from sensor_fakes import UUID_A as A
from sensor_fakes import UUID_B as B
from sensor_fakes import Gpu, window


def test_an_unused_gpu_is_a_part_but_not_the_primary_energy(on_gpus):
    out, _ = on_gpus(window(0.1, scope=None), Gpu(A))
    assert out["parts"][f"gpu:{A}"]["status"] == "measured"
    assert out["energy"]["scope"] == "cpu-package"
    assert "CUDA has not been started here" in out["energy"]["reason"]


def test_a_gpu_used_without_torch_is_found_in_the_drivers_list(on_gpus, tmp_path):
    source, library = tmp_path / "empty.c", tmp_path / "libcuda.so.1"
    source.write_text("int nothing;")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    # as in any program that runs CUDA: its library is loaded, the driver lists the process
    code = f"import ctypes\nctypes.CDLL({str(library)!r})\n"
    code += "with open(os.environ['FAKE_NVML'], 'a') as spec:\n"
    code += "    spec.write(f'process {os.getpid()}\\n')\n" + window(0.1, scope=None)
    out, _ = on_gpus(code, Gpu(A))
    assert out["energy"]["scope"] == f"gpu:{A}"


TORCH = """
    import types
    calls = []
    class Cuda(types.ModuleType):
        started = {started}
        def is_initialized(self): return self.started
        def device_count(self): return 2
        def is_current_stream_capturing(self): return {capturing}
        def synchronize(self, index): calls.append(index); {sync}
        def get_device_properties(self, index):
            return types.SimpleNamespace(uuid=("bbbbbbbb-0000-0000-0000-000000000002", "aaaaaaaa-0000-0000-0000-000000000001")[index])
    torch = types.ModuleType("torch")
    torch.cuda = Cuda("torch.cuda")
    torch._C = types.SimpleNamespace(_cuda_hasPrimaryContext=lambda index: index == 0)
    sys.modules["torch"] = torch
"""


@pytest.mark.parametrize(
    ("started", "capturing", "sync", "scope", "synchronised", "flagged"),
    [
        (True, False, "pass", f"gpu:{B}", [0, 0], False),
        (True, True, "pass", f"gpu:{B}", [], True),
        (True, False, "raise RuntimeError('device-side assert')", f"gpu:{B}", [0, 0], True),
        (False, False, "pass", "cpu-package", [], False),
    ],
)
def test_torchs_word_on_the_gpus_in_use(
    on_gpus, started, capturing, sync, scope, synchronised, flagged
):
    """torch counts the boards in another order and holds a context on its first one only."""
    code = textwrap.dedent(TORCH.format(started=started, capturing=capturing, sync=sync))
    code += window(0.1, scope=None) + "out['calls'] = calls\n"
    out, _ = on_gpus(code, Gpu(A, ((1.0, 100.0),)), Gpu(B, ((1.0, 500.0),)))
    assert out["energy"]["scope"] == scope
    assert out["calls"] == synchronised
    assert ("not-synchronised" in out["parts"][f"gpu:{B}"]["flags"]) == flagged


def test_a_cuda_error_that_nothing_recovers_from_is_not_hidden(on_gpus):
    code = textwrap.dedent(TORCH.format(started=True, capturing=False, sync="pass"))
    code += textwrap.dedent("""
        def broken():
            raise RuntimeError("CUDA error")
        meter = EnergyMeter(powercap_root=os.environ["NO_POWERCAP"])
        try:
            with meter.window("run") as window:
                time.sleep(0.1)
                torch.cuda.device_count = broken
                raise KeyError("the first error")
        except KeyError as error:
            out = [str(error), window.energy.to_dict()]
    """)
    (error, energy), _ = on_gpus(code, Gpu(A), Gpu(B, ((1.0, 500.0),)))
    assert error == "'the first error'"
    assert energy["scope"] == f"gpu:{B}"


def test_cuda_and_torch_stay_untouched(on_gpus):
    code = """
        with EnergyMeter(powercap_root=os.environ["NO_POWERCAP"]) as meter:
            with meter.window("run"):
                pass
        out = [name for name in sys.modules if name.split(".")[0] in ("torch", "numpy")]
    """
    out, _ = on_gpus(code, Gpu(A))
    assert out == []
