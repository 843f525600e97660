"""The story from beginning to end."""

from pathlib import Path

from rich.console import Console

from core import audit as audit_log
from core.runtime import Runtime
from web.demo import closing, data, intake, paying
from web.demo.account import Account
from web.demo.cast import Story
from web.demo.client import StoryBrokenError
from web.demo.people import People, signed_in


def play(runtime: Runtime, people: People, *, url: str, papers: Path, console: Console) -> Account:
    """Play the story at the server at `url`, whose database is `runtime`'s; return the account of it."""
    now = runtime.clock()
    sample = data.sample(data.last_month(now))
    account = Account(console, sample.period)
    papers.mkdir(parents=True, exist_ok=True)
    try:
        cast = signed_in(people, url, account)
        _chapters(Story(account, cast, sample, papers, now.date()), runtime)
    except StoryBrokenError as broken:
        account.faults.append(str(broken))
    return account


def _chapters(story: Story, runtime: Runtime) -> None:
    intake.set_up(story)
    paying.make_rules(story)
    intake.click(story)
    intake.fire(story)
    intake.arrive_late(story)
    paying.release_held(story)
    paying.bundle(story)
    paying.decide(story)
    payment = paying.pay(story)
    closing.import_files(story, payment)
    found = closing.reconcile(story)
    closing.wait_until_settled(story, payment)
    closing.resolve_and_close(story, found)
    closing.show_custody(story)
    paying.count_money(story)
    with story.account.chapter("audit") as said, runtime.reading() as session:
        rows, broken = audit_log.first_break(session)
        story.account.expect(broken is None, f"the audit log is broken: {broken}")
        said.append(f"all {rows} acts stand in an unbroken chain of hashes")
