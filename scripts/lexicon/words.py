"""Plain word lists: people, places, products, things."""

from __future__ import annotations

from random import Random


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES: tuple[str, ...] = _words(
    """Anna Ben Clara David Emma Felix Grace Hugo Ida Jonas Kira Leo Mara Nils Olga Paul Rosa
    Simon Tara Victor Wendy Yara Zoe Adam Bella Carlos Diana Elena Frank Gina Hans Irene Jack
    Karin Laura Marco Nina Oscar Petra Rita Stefan Tina Ursula Walter Amir Bruno Chen Daria Erik
    Fatima Goran Hana Ivan Julia Kenji Lena Milan Nora Omar Priya Ravi Sara Tomas Maria Lucas
    Sofia Peter Alice Robert Helen George Ruth"""
)

LAST_NAMES: tuple[str, ...] = _words(
    """Keller Novak Silva Moreau Rossi Tanaka Weber Jansen Lopez Brown Fischer Martin Costa Meyer
    Kowalski Bakker Sato Walker Young Hansen Berg Dubois Ferrari Garcia Hughes Ito Jones Klein
    Lange Morris Nagy Olsen Parker Quinn Reyes Schulz Taylor Urban Vogel Wagner Adler Baker Clark
    Dean Evans Ford Green Hill King Lewis Moss Nash Owen Price Reed Stone Turner Vance Wood"""
)

CITIES: tuple[str, ...] = _words(
    """Lyon Bonn Porto Turin Osaka Leeds Ghent Bern Oslo Vienna Prague Lisbon Dublin Madrid Milan
    Berlin Paris Rome Tokyo Warsaw Austin Boston Denver Seattle Toronto Sydney Delhi Cairo Lima
    Quito"""
)

COUNTRIES: tuple[tuple[str, str], ...] = (
    ("France", "Paris"), ("Italy", "Rome"), ("Spain", "Madrid"), ("Germany", "Berlin"),
    ("Japan", "Tokyo"), ("Poland", "Warsaw"), ("Portugal", "Lisbon"), ("Austria", "Vienna"),
    ("Norway", "Oslo"), ("Ireland", "Dublin"), ("Egypt", "Cairo"), ("Peru", "Lima"),
)  # fmt: skip

PRODUCTS: tuple[str, ...] = _words(
    """Nimbus Orbit Lumen Harbor Pixel Cobalt Meadow Falcon Quartz Willow Beacon Comet Delta Ember
    Maple Summit Tidal Vector Zephyr Atlas"""
)

COMPANIES: tuple[str, ...] = _words(
    """Northwind Brightside Greenfield Bluebird Ironwood Riverside Sunrise Lakeview Redstone
    Hillcrest Oakdale Silverline Fairway Westport Kingsley"""
)

THINGS: tuple[str, ...] = _words(
    """lamp chair table book camera bottle jacket watch guitar bicycle umbrella mirror blanket
    pillow kettle basket candle hammer ladder mug pencil shelf speaker tent towel wallet clock
    drum fork glove helmet keyboard monitor notebook plate rope scarf spoon vase desk"""
)

COLORS: tuple[str, ...] = _words(
    """red blue green yellow black white orange purple brown pink grey silver gold"""
)

ANIMALS: tuple[str, ...] = _words(
    """cat dog horse rabbit tiger eagle whale otter fox bear owl frog goat mouse snake duck"""
)

DAYS: tuple[str, ...] = _words("""Monday Tuesday Wednesday Thursday Friday Saturday Sunday""")

MONTHS: tuple[str, ...] = _words(
    """January February March April May June July August September October November
    December"""
)

NUMBER_WORDS: tuple[str, ...] = _words("""zero one two three four five six seven eight nine ten""")

OPPOSITES: tuple[tuple[str, str], ...] = (
    ("hot", "cold"), ("big", "small"), ("fast", "slow"), ("old", "new"), ("open", "closed"),
    ("early", "late"), ("high", "low"), ("light", "dark"), ("full", "empty"), ("near", "far"),
    ("easy", "hard"), ("loud", "quiet"), ("wet", "dry"), ("first", "last"), ("left", "right"),
)  # fmt: skip

# Names of fields for the made-up JSON objects of pretraining. None of the starters' field
# names is here: what they are called is for the fine-tuning to teach.
FIELDS: tuple[str, ...] = _words(
    """name city color size price amount date day month year title status kind topic note comment
    answer result value label level group owner author user customer product order item
    quantity unit weight height width length address street country company department role
    team email phone code key number id version start end duration time score rating rank
    reason cause problem solution question reply message text body subject sender receiver
    source target path file folder page line word letter animal thing person place shop
    currency total discount tax paid open closed active enabled valid ready done urgent public
    friends colors items words numbers names cities parts steps options reasons"""
)

DOMAINS: tuple[str, ...] = (
    "example.com", "example.org", "example.net", "mail.test", "post.test", "office.example",
    "shop.example", "home.example", "team.test", "firm.example",
)  # fmt: skip


def letters(rng: Random, low: int, high: int) -> str:
    """A short string of random letters, so that copying cannot lean on known words."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    return "".join(rng.choice(alphabet) for _ in range(rng.randint(low, high)))


def digits(rng: Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def full_name(rng: Random) -> str:
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"


def order_number(rng: Random) -> str:
    return str(rng.randint(1, 9)) + digits(rng, rng.choice((3, 4, 4, 5)))


def email(rng: Random) -> str:
    first = rng.choice(FIRST_NAMES).lower()
    last = rng.choice(LAST_NAMES).lower()
    user = rng.choice(
        (
            f"{first}.{last}", f"{first}_{last}", f"{first}{digits(rng, 2)}", first,
            f"{first[0]}.{last}", letters(rng, 3, 6), f"{last}{digits(rng, 1)}",
            rng.choice(("info", "help", "sales", "office", "contact")),
        )
    )  # fmt: skip
    return f"{user}@{rng.choice(DOMAINS)}"


def phone(rng: Random) -> str:
    """A number from the ranges that are reserved for fiction."""
    area = rng.choice(("202", "212", "303", "404", "512", "617", "702", "808"))
    tail = f"555-01{digits(rng, 2)}"
    return rng.choice((tail, f"{area}-{tail}", f"+1 {area} {tail}", f"({area}) {tail}"))


def card(rng: Random) -> str:
    head = rng.choice(("4000", "4111", "4242", "5500", "5105"))
    groups = [head, *(digits(rng, 4) for _ in range(3))]
    return rng.choice((" ", "-")).join(groups)


def ip(rng: Random) -> str:
    """An address from the blocks that are reserved for documentation."""
    return f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randint(1, 254)}"


def date(rng: Random) -> str:
    return f"{rng.randint(1, 28)} {rng.choice(MONTHS)}"


def clock(rng: Random) -> str:
    return f"{rng.randint(7, 20)}:{rng.choice(('00', '15', '30', '45'))}"
