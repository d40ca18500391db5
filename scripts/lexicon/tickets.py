"""Support tickets in English: what customers write, and what it means."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from scripts.lexicon import words

CATEGORIES: tuple[str, ...] = ("auth", "billing", "bug", "feature_request", "other")
URGENCIES: tuple[str, ...] = ("low", "medium", "high")


@dataclass(frozen=True)
class Problem:
    category: str
    urgency: str  # when the ticket itself gives no hint
    texts: tuple[str, ...]
    summary: str
    action: str


@dataclass(frozen=True)
class Ticket:
    text: str
    category: str
    urgency: str
    summary: str
    action: str


def _p(category: str, urgency: str, texts: str, summary: str, action: str) -> Problem:
    return Problem(category, urgency, tuple(t.strip() for t in texts.split("|")), summary, action)


PROBLEMS: tuple[Problem, ...] = (
    # auth
    _p("auth", "high", "I cannot log in to {product}|I can't log in to my account|"
       "I can't sign in to {product}|my login does not work|logging in to {product} fails|"
       "I am not able to log in to my {product} account",
       "Customer cannot log in", "Send a password reset link"),
    _p("auth", "medium", "I forgot my password|I do not remember my {product} password|"
       "my password is lost", "Customer forgot the password", "Send a password reset link"),
    _p("auth", "high", "my account is locked|{product} locked my account after three tries|"
       "I am locked out of {product}", "Account is locked", "Unlock the account"),
    _p("auth", "medium", "the login code never arrives|I do not get the login code by text message|"
       "the code for {product} does not reach my phone", "Login code does not arrive",
       "Send the login code again"),
    _p("auth", "medium", "I have a new phone and lost my login codes|"
       "I lost the phone with my {product} login codes", "Customer lost the login codes",
       "Set up the login codes again"),
    _p("auth", "medium", "the password reset link has expired|the reset link for {product} is not "
       "valid|the link to reset my password does not open", "Reset link does not work",
       "Send a new reset link"),
    _p("auth", "high", "someone else logged in to my account|a stranger is using my {product} "
       "account|my account was hacked", "Stranger is using the account",
       "Close all sessions of the account"),
    _p("auth", "medium", "my new colleague cannot sign in to {product}|our new colleague has no "
       "access to {product}", "Colleague has no access", "Send an invitation"),
    # billing
    _p("billing", "medium", "I was charged twice|you charged my card twice for {product}|"
       "the payment for {product} was taken two times", "Customer was charged twice",
       "Refund the second charge"),
    _p("billing", "medium", "my invoice is wrong|the amount on the {product} invoice is wrong|"
       "invoice {number} shows the wrong amount", "Invoice is wrong", "Correct the invoice"),
    _p("billing", "medium", "I want my money back for {product}|I would like a refund for order "
       "{number}|please refund order {number}", "Customer wants a refund", "Start the refund"),
    _p("billing", "high", "my card payment was declined|I cannot pay for {product}|"
       "paying with my card fails", "Payment was declined", "Check the payment"),
    _p("billing", "low", "I need a copy of invoice {number}|please send me the invoice for {month}|"
       "I did not get the {product} invoice for {month}", "Customer needs an invoice",
       "Send the invoice"),
    _p("billing", "low", "I want to change the card we pay with|please charge a new card for "
       "{product}", "Customer wants to change the card", "Explain how to change the card"),
    _p("billing", "medium", "you still charge me for {product} after I cancelled|"
       "I cancelled {product} and still have to pay", "Customer was charged after cancelling",
       "Stop the charges"),
    _p("billing", "low", "I do not understand the price of {product}|why did the price of "
       "{product} go up", "Customer asks about the price", "Explain the price"),
    # bug
    _p("bug", "medium", "{product} crashes when I open a file|the {product} app crashes at start|"
       "{product} closes by itself", "App crashes", "Ask for the crash report"),
    _p("bug", "medium", "the page stays blank|the {product} page shows nothing|"
       "I only see a blank page in {product}", "Page stays blank",
       "Ask which browser is used"),
    _p("bug", "medium", "the export to a file fails|exporting from {product} gives an error|"
       "I get error {number} when I export a report", "Export fails", "Reproduce the export"),
    _p("bug", "high", "my data is gone|all my files disappeared from {product}|"
       "{product} deleted my work", "Data is lost", "Restore the data"),
    _p("bug", "medium", "{product} is very slow|every page in {product} takes a minute to load|"
       "the app became very slow", "App is slow", "Check the speed"),
    _p("bug", "medium", "the save button does nothing|the button to save does not react|"
       "I press save in {product} and nothing happens", "Save button does not work",
       "Reproduce the problem"),
    _p("bug", "low", "the chart shows wrong numbers|the report in {product} has wrong totals|"
       "the sum in my report is not correct", "Report shows wrong numbers",
       "Check the report"),
    _p("bug", "medium", "{product} sends every message twice|I get each notification two times|"
       "notifications from {product} come twice", "Notifications come twice",
       "Check the notifications"),
    # feature_request
    _p("feature_request", "low", "please add a dark mode|a dark theme for {product} would be nice|"
       "I would love a dark mode in {product}", "Customer wants a dark mode",
       "Add it to the wish list"),
    _p("feature_request", "low", "can you add an export to a spreadsheet|I wish {product} could "
       "export spreadsheets|it would be great to export spreadsheets",
       "Customer wants a spreadsheet export", "Add it to the wish list"),
    _p("feature_request", "low", "please add a calendar to {product}|a calendar view would help us|"
       "I would love a calendar in {product}", "Customer wants a calendar",
       "Pass it to the product team"),
    _p("feature_request", "low", "could you support more languages|please offer {product} in more "
       "languages|I wish {product} spoke my language", "Customer wants more languages",
       "Pass it to the product team"),
    _p("feature_request", "low", "please make a mobile app|I wish there was a mobile app for "
       "{product}|a {product} app for the phone would be great", "Customer wants a mobile app",
       "Pass it to the product team"),
    _p("feature_request", "low", "it would help to sort the list by date|please let us sort the "
       "{product} list|could you add sorting to {product}", "Customer wants sorting",
       "Add it to the wish list"),
    _p("feature_request", "low", "I wish I could share a folder|please add shared folders to "
       "{product}|sharing a folder in {product} would be nice", "Customer wants shared folders",
       "Pass it to the product team"),
    _p("feature_request", "medium", "we would need an interface for our own programs|please offer "
       "an interface so our programs can use {product}", "Customer wants an interface",
       "Pass it to the product team"),
    # other
    _p("other", "low", "what are your opening hours|when is your office open|"
       "how long are you open on {day}", "Customer asks for opening hours",
       "Send the opening hours"),
    _p("other", "low", "thank you for the great help|I just want to say thanks|"
       "your team did a great job", "Customer says thanks", "Thank the customer"),
    _p("other", "low", "where can I find the manual|is there a guide for {product}|"
       "I am looking for the {product} manual", "Customer looks for the manual",
       "Send the manual"),
    _p("other", "low", "do you have jobs in {city}|I would like to work for you in {city}",
       "Customer asks about jobs", "Send the list of jobs"),
    _p("other", "medium", "order {number} has not arrived|where is my parcel for order {number}|"
       "my order {number} is late", "Order is late", "Check the delivery"),
    _p("other", "low", "I want to talk to someone in sales|please let sales call me|"
       "who can tell me more about {product}", "Customer wants to talk to sales",
       "Pass it to sales"),
    _p("other", "low", "please change my address to {city}|we moved to {city}|"
       "our office is now in {city}", "Customer has a new address", "Update the address"),
    _p("other", "low", "do you offer a course for {product}|is there a training for {product} in "
       "{city}", "Customer asks for a course", "Send the course dates"),
)  # fmt: skip

OPENERS: tuple[str, ...] = (
    "", "", "", "", "Hi, ", "Hello, ", "Good morning, ", "Hi team, ", "Hello support, ",
    "Dear team, ", "Hi, {name} here, ", "Hello, this is {name} from {company}, ", "Hey, ",
    "Good afternoon, ", "Sorry to bother you, ",
)  # fmt: skip

CONTEXTS: tuple[str, ...] = (
    "", "", "", "", "", " since {day}", " again", " on version {version}", " since {date}",
    " on both computers",
)  # fmt: skip

CUES: dict[str, tuple[str, ...]] = {
    "high": (
        ", and our whole team is blocked", ", and we need this solved today",
        ", and our customers are waiting", ", and we are losing money", ", this is an emergency",
        ", and nobody here can work", ", and our launch is tomorrow", ", please help right now",
        ", it is very urgent", ", and I have a meeting in an hour",
    ),
    "medium": (
        ", and it slows us down", ", please look at it this week",
        ", and I need an answer in a few days", ", we should solve it before {day}",
        ", and a few of us are affected", ", for now we work around it",
        ", it is a bit annoying", ", please answer soon",
    ),
    "low": (
        ", but there is no hurry", ", whenever you have time", ", it can wait",
        ", just so you know", ", but it is not important", ", no rush at all",
        ", any time next month is fine", ", only if it is easy for you",
    ),
}  # fmt: skip

# The same meaning in plain prose: what the base model may say about a ticket.
TOPIC_PROSE: dict[str, tuple[str, ...]] = {
    "auth": ("signing in", "access to an account"),
    "billing": ("a payment", "money and invoices"),
    "bug": ("something that is broken", "a fault in the software"),
    "feature_request": ("a wish for something new", "an idea for the product"),
    "other": ("a general question", "something else"),
}
URGENCY_PROSE: dict[str, tuple[str, ...]] = {
    "high": ("It is very urgent.", "It has to be solved right now."),
    "medium": ("It should be solved soon.", "It should be solved this week."),
    "low": ("There is no hurry.", "It can wait."),
}


def _fill(text: str, rng: Random) -> str:
    return text.format(
        product=rng.choice(words.PRODUCTS),
        number=words.order_number(rng),
        month=rng.choice(words.MONTHS),
        day=rng.choice(words.DAYS),
        date=words.date(rng),
        city=rng.choice(words.CITIES),
        name=rng.choice(words.FIRST_NAMES),
        company=rng.choice(words.COMPANIES),
        version=f"{rng.randint(1, 9)}.{rng.randint(0, 9)}",
    )


def make_ticket(rng: Random) -> Ticket:
    """One ticket: a single sentence, so that whole tickets and sentences are the same thing."""
    category = rng.choice(CATEGORIES)
    problem = rng.choice([p for p in PROBLEMS if p.category == category])
    opener = rng.choice(OPENERS)
    body = rng.choice(problem.texts)
    if not opener:
        body = body if body.startswith("{product}") else body[0].upper() + body[1:]
    context = rng.choice(CONTEXTS) if category in ("auth", "bug") else ""
    urgency = problem.urgency
    cue = ""
    if rng.random() < 0.65:
        urgency = rng.choice(URGENCIES)
        cue = rng.choice(CUES[urgency])
    end = rng.choice((".", ".", ".", "!", "")) if urgency != "low" else rng.choice((".", ""))
    text = _fill(opener + body + context + cue, rng) + end
    return Ticket(text, category, urgency, problem.summary, problem.action)
