"""What type checkers must see. `wrong` lines end in `# E: <code>`: they must be refused, all others must pass."""

from datetime import UTC, datetime, timedelta

from mainspring import Daemon, Listener, Retry, Schedule, Task, TaskFunction
from mainspring.testing import VirtualClock

daemon = Daemon("memory:", workers=8, clock=VirtualClock("2030-01-01T00:00:00Z"))


@daemon.task
def sell(item: int, *, loud: bool = False) -> str:
    return str(item)


@daemon.task(name="shop:mail", retry=Retry(3, delay="5s"), timeout=30, queue="mail")
async def mail(to: str) -> dict[str, int]:
    return {to: 1}


@daemon.every("5s")
def tick() -> None: ...


@daemon.listener(pause="1s")
def watch() -> None: ...


@daemon.task
async def charge(order: int) -> float:
    return order * 1.5


charged: Task[float] = charge.enqueue(1)
mailed: Task[dict[str, int]] = mail.enqueue("you")


async def pay() -> float:
    return await charge(1) + await charge.enqueue(2)


as_function: TaskFunction[..., str] = sell
plain: str = sell(1, loud=True)
task: Task[str] = sell.enqueue(1)
result: str = task.result(timeout="5s")
later: Task[str] = sell.options(key="k").after(minutes=5).enqueue(1, loud=True)
at: Task[str] = sell.at(datetime(2030, 1, 1, tzinfo=UTC)).options(priority=3).enqueue(item=1)
after: Task[str] = sell.after(timedelta(seconds=1)).enqueue(1)
nothing: Task[None] = tick.enqueue()
general: Task[object] = daemon.add_task(sell, (1,), at="2030-01-01T00:00:00Z", key="k", on_conflict="keep")
by_name: Task[object] = daemon.add_task("shop:mail", kwargs={"to": "x"})
program: Task[object] = daemon.add_task(["ls", "-l"], cwd="/", env={"LANG": "C"})
many: list[Task[object]] = daemon.add_tasks([{"work": sell, "args": (1,), "after": "5s"}])
schedule: Schedule = daemon.add_schedule(tick, "1h", name="hourly")
listener: Listener = daemon.add_listener(watch, pause=0)
cancelled: bool = bool(daemon.cancel(task.id))


async def coroutines() -> str:
    again: Task[str] = await sell.aenqueue(1)
    other: Task[object] = await daemon.aio.add_task(sell, (1,), after="5s", key="k")
    await daemon.aio.reschedule(other.id, after="1h")
    await daemon.aio.add_task(sell, prioriti=3)  # E: call-arg
    await daemon.aio.cancel(5)  # E: arg-type
    found: list[Task[int]] = await daemon.aio.find(limit=1)  # E: assignment
    return await again if found else ""


with daemon.batch() as batch:
    batch.add_task(sell, args=(1,), at=1.9e9).add_task("shop:mail", ("x",), after="5s")

sell.enqueue()  # E: call-arg
sell.enqueue("one")  # E: arg-type
sell.enqueue(1, True)  # E: call-arg
sell.enqueue(1, quiet=True)  # E: call-arg
sell.after("5s").enqueue("one")  # E: arg-type
sell.options(prioriti=3)  # E: call-arg
sell.options(on_conflict="merge")  # E: typeddict-item|arg-type
sell("one")  # E: arg-type
wrong: Task[int] = sell.enqueue(1)  # E: assignment
number: int = task.result()  # E: assignment
daemon.add_task(sell, prioriti=3)  # E: call-arg
daemon.add_tasks([{"args": (1,)}])  # E: typeddict-item
daemon.add_task(5)  # E: arg-type
Daemon(worker=8)  # E: call-arg|arg-type
