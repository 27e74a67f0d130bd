"""Plans of functions: one each, for as long as the function lives."""

import functools
import gc
import weakref

from mainspring.tasks.callplan import plan_of


def test_a_function_that_nobody_has_any_more_is_let_go_of():
    def local(number: int) -> int:
        return number

    assert plan_of(local) is plan_of(local)
    gone = weakref.ref(local)
    del local
    gc.collect()
    assert gone() is None


def test_what_wraps_a_function_has_a_plan_of_its_own():
    def inner(number): ...

    plan_of(inner)

    @functools.wraps(inner)
    def outer(*args, **kwargs): ...

    del outer.__wrapped__
    assert plan_of(outer) is not plan_of(inner)
