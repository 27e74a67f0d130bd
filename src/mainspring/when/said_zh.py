"""Times as people say them in Chinese: 明天上午9点, 下周五18:00, 半小时后, 十一月二十七日晚上八点半."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta

from mainspring.errors import InvalidValue
from mainspring.when.durations import parse_duration
from mainspring.when.said import (
    AFTERNOON,
    DAWN,
    EVENING,
    MIDDAY,
    MORNING,
    Clock,
    Heard,
    Local,
    Rule,
    dates_of_month,
    dates_of_year,
    exact_date,
    ignore,
    last_of_month,
    listen,
    month_after,
    read_clock,
    refuse,
    weekday_of_week,
    weekdays_ahead,
    whole_number,
)

_TRADITIONAL = str.maketrans("點後週兩個號鐘時禮這過內", "点后周两个号钟时礼这过内")
_DIGITS = {sign: value for value, sign in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_DAYS = {"今": 0, "明": 1, "后": 2, "大后": 3}
_TURNS = {"这": 0, "本": 0, "下": 1, "下下": 2}
_PARTS = (
    dict.fromkeys(("早上", "早晨", "清晨", "上午", "早"), MORNING)
    | dict.fromkeys(("晚上", "晚间", "傍晚", "夜里", "夜晚", "晚", "夜"), EVENING)
    | {"凌晨": DAWN, "中午": MIDDAY, "下午": AFTERNOON, "午后": AFTERNOON}
)
_ELAPSED = {"小时": "h", "钟头": "h", "分钟": "m", "分": "m", "秒钟": "s", "秒": "s", "毫秒": "ms"}
_QUARTERS = {"半": "30", "一刻": "15", "三刻": "45"}

# In patterns, `_` is a space that may be there.
_SIGN = "[零〇一二两三四五六七八九十百]"
_NUMBER = rf"(?:[0-9]+(?:\.[0-9]+)?|{_SIGN}+)"
_SHORT = f"(?:[0-9]{{1,2}}|{_SIGN}{{1,3}})"
_UNIT = "小时|钟头|星期|礼拜|(?<=个)月|(?<=个 )月|刻钟|分钟|分|秒钟|秒|毫秒|天|周|年"
_AMOUNT_PARTS = (
    f"(?:半_(?:个_)?(?P<half>小时|钟头|分钟)|(?P<number>{_NUMBER})_"
    f"(?:(?P<halves>个_半_(?:小时|钟头))|(?P<halfway>分_半_钟?)|(?:个_)?(?P<unit>{_UNIT})))"
)
_AMOUNTS = f"(?:{re.sub('[?]P<[a-z_]+>', '?:', _AMOUNT_PARTS)}_)+"
_WHICH = "(?P<which>下下|下|这|本)_(?:个_)?"
_YEAR = "(?:(?P<year>(?:[0-9]{4}|[零〇一二三四五六七八九]{4})(?=_年)|今|明|后)_年_)?"
_MINUTES = r"(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]+))?)?"
_SPOKEN_MINUTES = (
    f"(?P<minute>半|一刻|三刻|[零〇]?{_SHORT}(?!{_SIGN}|[0-9]|_[年月号日天周个:]))_(?:分_(?:(?P<second>{_SHORT})_秒)?)?"
)
_SPOKEN_NUMBER = re.compile(
    "(?:(?P<hundreds>[一二两三四五六七八九])百)?[零〇]?(?:(?P<tens>[一二三四五六七八九]?)十)?(?P<ones>[零〇一二两三四五六七八九])?"
)


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("_", " ?"))


def read_chinese(body: str, here: datetime) -> int | Local:
    """What `body` (small letters, single spaces) means when it is said at the local time `here`.

    Microseconds from now, or a local time; what is not understood or can be meant in two ways is an `InvalidValue`.
    """
    return listen(body.translate(_TRADITIONAL), _RULES, Heard(here, "上午9点"), _why_unknown)


def _span(heard: Heard, found: re.Match[str]) -> None:
    words = found[0].strip()
    if words.endswith("前"):
        raise InvalidValue(f"{words!r} is over")
    elapsed, days, months = 0, 0, 0
    for amount in _AMOUNT.finditer(found["amounts"]):
        if amount["half"]:
            elapsed += parse_duration("30s" if amount["half"] == "分钟" else "30m")
            continue
        number, unit = _digits(amount["number"]), amount["unit"]
        if unit is None:
            elapsed += parse_duration(f"{number}.5h" if amount["halves"] else f"{number}.5m")
        elif unit == "刻钟":
            elapsed += parse_duration(f"{whole_number(number, words) * 15}m")
        elif unit in _ELAPSED:
            elapsed += parse_duration(number + _ELAPSED[unit])
        else:
            days += whole_number(number, words) * {"天": 1, "周": 7, "星期": 7, "礼拜": 7}.get(unit, 0)
            months += whole_number(number, words) * {"月": 1, "年": 12}.get(unit, 0)
    heard.ahead(words, elapsed, days=days, months=months)


def _relative_day(heard: Heard, found: re.Match[str]) -> None:
    heard.day(found["day"] + "天", [heard.here.date() + timedelta(days=_DAYS[found["day"]])])


def _weekday(heard: Heard, found: re.Match[str]) -> None:
    weekday = "一二三四五六日".index(found["weekday"].replace("天", "日"))
    if found["which"] is None:
        heard.day(found[0], weekdays_ahead(heard.here, weekday))
    else:
        heard.day(found[0], [weekday_of_week(heard.here, weekday, _TURNS[found["which"]])])


def _date(heard: Heard, found: re.Match[str]) -> None:
    month, day = int(_digits(found["month"])), int(_digits(found["day"]))
    year = found["year"]
    if year is None:
        heard.day(found[0], dates_of_year(heard.here, month, day))
    elif year in _DAYS:
        heard.day(found[0], [exact_date(heard.here.year + _DAYS[year], month, day)])
    else:
        digits = "".join(sign if sign.isascii() else str(_DIGITS[sign]) for sign in year)
        heard.day(found[0], [exact_date(int(digits), month, day)])


def _iso_date(heard: Heard, found: re.Match[str]) -> None:
    heard.day(found[0], [exact_date(int(found["year"]), int(found["month"]), int(found["day"]))])


def _day_of_month(heard: Heard, found: re.Match[str]) -> None:
    day = int(_digits(found["day"]))
    if not found["which"]:
        heard.day(found[0], dates_of_month(heard.here, day))
    else:
        heard.day(found[0], [exact_date(*month_after(heard.here, _TURNS[found["which"]]), day)])


def _last_of_month(heard: Heard, found: re.Match[str]) -> None:
    heard.day(found[0], [last_of_month(*month_after(heard.here, _TURNS[found["which"]]))])


def _part(heard: Heard, found: re.Match[str]) -> None:
    heard.part(found[0], _PARTS[found[0]])


def _clock(heard: Heard, found: re.Match[str]) -> None:
    half = found["half"]
    digits = (found["hour"], found["minute"], found["second"], found["fraction"])
    heard.clock(found[0], read_clock(*digits, half[0] if half else None))


def _spoken_clock(heard: Heard, found: re.Match[str]) -> None:
    minute = found["minute"] or "0"
    digits = (_digits(found["hour"]), _QUARTERS.get(minute) or _digits(minute), _digits(found["second"] or "0"))
    heard.clock(found[0].strip(), read_clock(*digits, None, None))


def _noon(heard: Heard, found: re.Match[str]) -> None:
    midnight = found[0] == "午夜"
    heard.clock(found[0], Clock(0 if midnight else 12, settled=True), midnight=midnight)


def _digits(words: str) -> str:
    """A number up to 999 in characters, as digits; digits as they are."""
    if words.isascii():
        return words
    if words[1:].isascii() and words[1:]:  # 零5
        return words[1:]
    found = _SPOKEN_NUMBER.fullmatch(words)
    if found is None:
        raise InvalidValue(f"{words!r} is not understood as a number")
    hundreds, tens, ones = found["hundreds"], found["tens"], found["ones"]
    total = 100 * _DIGITS[hundreds] if hundreds else 0
    if tens is not None:
        total += 10 * (_DIGITS[tens] if tens else 1)
    return str(total + (_DIGITS[ones] if ones else 0))


def _why_unknown(body: str, place: int) -> str:
    return f"{body[place:].partition(' ')[0]!r} is not understood"


def _rule(pattern: str, hear: Callable[[Heard, re.Match[str]], None]) -> Rule:
    return Rule(_compiled(pattern), hear)


_AMOUNT = _compiled(_AMOUNT_PARTS)
_RULES = (
    _rule("[ ,、的在于]+", ignore),
    _rule(f"(?P<in>(?:再_)?过_)?(?P<amounts>{_AMOUNTS})(?:以后|之后|过后|后|以前|之前|前)?(?(in)|(?<=[后前]))", _span),
    _rule("(?P<day>今|明|大后|后)_[天日]", _relative_day),
    _rule("(?P<day>今|明)_(?=[早晚夜])", _relative_day),
    _rule(
        "下_个_周_[一二三四五六日天]",
        refuse("{} can be meant in two ways: write 周五 for the next one, 下周五 for next week's"),
    ),
    _rule(f"(?:{_WHICH})?(?:周|星期|礼拜)_(?P<weekday>[一二三四五六日天])", _weekday),
    _rule(f"{_YEAR}(?P<month>{_SHORT})_月_(?:份_)?(?P<day>{_SHORT})_[号日]", _date),
    _rule(f"{_WHICH}月_(?P<day>{_SHORT})_[号日]", _day_of_month),
    _rule(f"(?P<which>)(?P<day>{_SHORT})_[号日]", _day_of_month),
    _rule(f"{_WHICH}月_的?_最后_一_天", _last_of_month),
    _rule(r"(?P<year>[0-9]{4})([-/.])(?P<month>[0-9]{1,2})\2(?P<day>[0-9]{1,2})(?![0-9])", _iso_date),
    _rule("|".join(sorted(_PARTS, key=len, reverse=True)), _part),
    _rule(f"(?P<hour>{_SHORT})_[点时]_(?:[钟整]|{_SPOKEN_MINUTES})?", _spoken_clock),
    _rule(rf"(?P<hour>[0-9]{{1,2}})(?::{_MINUTES})?_(?P<half>[ap]\.?m\.?)", _clock),
    _rule(rf"(?P<hour>[0-9]{{1,2}}):{_MINUTES}(?P<half>)(?![0-9:.,])", _clock),
    _rule("正午|午夜", _noon),
    _rule(
        f"{_WHICH}(?:周末|周|星期|礼拜|月|年)|周末|月[底末初]",
        refuse("{} is no day: write which one, as in '下周五18:00', '下个月1号9点' or '本月最后一天18:00'"),
    ),
    _rule(_AMOUNTS, refuse("{} is a duration; for an instant say 后, as in '5分钟后'")),
    _rule("现在|马上|立刻", refuse("{} is not ahead; '+0s' is at once")),
    _rule("昨天|前天|昨晚|上_(?:个_)?(?:周|星期|礼拜|月|年)", refuse("{} is over")),
)
