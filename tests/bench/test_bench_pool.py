"""Jobs in processes of their own: each error, and each death, costs one job."""

import os
import time

from orthowatt.bench import pool


def work(job):
    """What a job says."""
    if job == "die":
        os._exit(3)
    if job == "raise":
        raise ValueError("as\ntold")
    if job == "sleep":
        time.sleep(60)
    return job * 2


def healthy():
    return not os.path.exists(os.environ.get("ORTHOWATT_TEST_BROKEN", "/nonexistent"))


def test_a_process_that_dies_costs_its_own_job_alone():
    jobs = ["a", "die", "b", "raise", "c"]
    found = sorted(pool.outcomes(work, jobs, workers=2), key=lambda one: one.index)
    assert [one.found for one in found] == ["aa", None, "bb", None, "cc"]
    assert [one.error for one in found] == [
        None, "the process ended in the midst of it (3)", None, "ValueError: as told", None,
    ]  # fmt: skip


def test_jobs_under_way_at_the_deadline_are_given_up_and_the_pool_goes_on():
    with pool.Pool(work, 1) as workers:
        assert [one.found for one in workers.run(["a"])] == ["aa"]
        begin = time.monotonic()
        assert list(workers.run(["sleep", "b"], begin + 0.2)) == []
        assert time.monotonic() - begin < 10
        assert [one.found for one in workers.run(["c"])] == ["cc"]


def test_a_process_that_is_not_healthy_is_replaced(monkeypatch, tmp_path):
    monkeypatch.setenv("ORTHOWATT_TEST_BROKEN", str(tmp_path))
    with pool.Pool(own_id, 1, healthy) as workers:
        found = [one.found for one in workers.run([1, 2, 3])]
    assert len(set(found)) == 3
    with pool.Pool(own_id, 1) as workers:
        found = [one.found for one in workers.run([1, 2, 3])]
    assert len(set(found)) == 1


def own_id(job):
    """The process that works on it."""
    return os.getpid()


def test_a_process_that_died_with_nothing_to_do_is_replaced():
    with pool.Pool(work, 1) as workers:
        assert [one.found for one in workers.run(["a"])] == ["aa"]
        (idle,) = workers._idle
        idle.process.kill()
        idle.process.join()
        assert [one.found for one in workers.run(["b"])] == ["bb"]
