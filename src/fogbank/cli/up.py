"""`fogbank up`: from the data folder to a served prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fogbank.cli.options import HOME, PORT, PROJECT_DIR, Home, Json, Port, ProjectDir

if TYPE_CHECKING:
    from fogbank.cli.session import Project
    from fogbank.ops.invoke import Answer
    from fogbank.ops.outcome import Outcome
    from fogbank.ops.pictures import HeldOut


def up(
    project_dir: ProjectDir = PROJECT_DIR, json: Json = False, home: Home = HOME, port: Port = PORT
) -> None:
    """Make everything so as fogbank.yaml says: data, training, endpoint, function.

    Then ask about a picture that the model never trained on, as a client would: through the
    function, where the project has one. What is in place already stays: a second run does
    nothing. Ctrl-C at any time is safe; the same command goes on from there.
    """
    from fogbank.cli.console import print_json
    from fogbank.cli.invoke import ask
    from fogbank.cli.report import do
    from fogbank.cli.session import changing_project
    from fogbank.core.clock import SystemClock
    from fogbank.ops.observe import observe
    from fogbank.ops.pictures import held_out
    from fogbank.ops.plan import Goal, check, plan

    clock = SystemClock()
    started_s = clock.monotonic_s()
    with changing_project(project_dir, home, port) as project:
        blueprint = project.blueprint
        observed = observe(project.aws, blueprint)
        check(blueprint, observed, Goal.FRONTED)
        steps = plan(blueprint, observed, Goal.FRONTED)
        found = do(project, steps, observed)
        picture = held_out(blueprint.survey.data)
        answer = (
            ask(project.aws, blueprint.spec, blueprint.names, picture.path, 3) if picture else None
        )
        seconds = clock.monotonic_s() - started_s
        if json:
            print_json(
                {
                    **found.to_json(),
                    "steps": [step.message for step in steps],
                    "prediction": _prediction(picture, answer),
                    "seconds": round(seconds, 3),
                }
            )
        else:
            _show(project, found, picture, answer, seconds)


def _prediction(picture: HeldOut | None, answer: Answer | None) -> dict[str, Any] | None:
    if picture is None or answer is None:
        return None
    return {
        "picture": str(picture.path),
        "split": picture.split,
        "label": picture.label,
        "predicted": answer.labels[0].label if answer.labels else None,
        "probability": answer.labels[0].probability if answer.labels else None,
        "answer": answer.content,
        "function": answer.function or None,
        "report": answer.report or None,
        "milliseconds": round(answer.seconds * 1000, 3),
    }


def _show(
    project: Project,
    found: Outcome,
    picture: HeldOut | None,
    answer: Answer | None,
    seconds: float,
) -> None:
    from rich.text import Text

    from fogbank.cli.console import results
    from fogbank.cli.report import Facts, add_outcome

    facts = Facts()
    add_outcome(facts, found)
    if picture is not None and answer is not None:
        facts.add("picture", f"{picture.path} ({picture.split} split: {picture.label})")
        if answer.labels:
            best = answer.labels[0]
            verdict = Text(f"{best.label}, probability {best.probability:.1%}")
            right = best.label == picture.label
            verdict.append(" ✓" if right else " ✗", style="green" if right else "red")
        else:
            verdict = Text(str(answer.content))
        verdict.append(f"  {answer.seconds * 1000:.0f} ms", style="dim")
        facts.add("prediction", verdict)
        if answer.function:
            facts.add("through", f"the function {answer.function}, then the endpoint")
            facts.add("", Text(answer.report, style="dim"))
    facts.add("cloud", f"{project.cloud.url}, folder {project.cloud.home}")
    facts.add("time", f"{seconds:.1f} s")
    console = results()
    console.print()
    facts.print(console)
    console.print("\nNext: fogbank invoke PICTURE, fogbank status, fogbank down", style="dim")
