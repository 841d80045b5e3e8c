"""`measure` as decorator and as context."""

import pytest

from orthowatt.energy import EnergyMeter, measure
from orthowatt.errors import InputTypeError


@pytest.fixture
def meter(powercap):
    powercap.add("intel-rapl:0", "package-0", joules=10)
    with EnergyMeter(scope="cpu", powercap_root=powercap.root) as meter:
        yield meter


def test_a_decorated_function_is_measured_and_unchanged(meter, powercap):
    @measure("spending", meter=meter)
    def spend(joules, *, more=0):
        """Spends."""
        powercap.set("intel-rapl:0", joules + more)
        return joules

    assert spend(12, more=1) == 12
    assert (spend.__name__, spend.__doc__) == ("spend", "Spends.")
    assert spend.window.name == "spending"
    assert spend.window.energy.joules == pytest.approx(3)


def test_an_exception_passes_and_leaves_its_window(meter, powercap):
    @measure(meter=meter)
    def fail():
        powercap.set("intel-rapl:0", 14)
        raise KeyError("x")

    with pytest.raises(KeyError):
        fail()
    assert fail.window.energy.joules == pytest.approx(4)
    assert fail.window.name.endswith("fail")


def test_methods_are_bound():
    class Model:
        @measure
        def size(self):
            return self.__class__.__name__

    assert Model().size() == "Model"
    assert Model.size.window.seconds >= 0


def test_as_a_context_of_its_own():
    with measure("block") as window:
        assert window.name == "block"
    assert window.seconds > 0
    assert window.energy.joules is None or window.energy.joules > 0


async def coroutine():
    pass


def generator():
    yield


@pytest.mark.parametrize("target", [coroutine, generator, 7, int])
def test_what_runs_later_or_is_no_function_is_refused(target):
    with pytest.raises(InputTypeError, match="measure was given"):
        measure(target)
