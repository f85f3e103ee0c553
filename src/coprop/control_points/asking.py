"""Asks a language model the questions of many dialogues: together, or several at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from coprop.checks import shown
from coprop.control_points.conversation import Conversation, Heard, Question
from coprop.control_points.language_models.model import Answer, LanguageModel
from coprop.errors import LanguageModelError


def ask_all(
    llm: LanguageModel, conversations: Iterator[Conversation], batch_size: int
) -> Iterator[Heard]:
    """What came of each dialogue, in order, as it is known.

    A model whose ``concurrency`` is above 1 is asked from so many threads, one dialogue in each
    call; others are asked the same step of up to ``batch_size`` dialogues in one call.

    Args:
        llm: the model.
        conversations: as `converse` makes them; taken from as they are needed, in one thread.
        batch_size: how many go on together.

    Raises:
        LanguageModelError: from the model, or where it does not answer each dialogue once.
    """
    concurrency = getattr(llm, "concurrency", 1)
    if concurrency > 1:
        return _in_threads(llm, conversations, concurrency)
    return _in_batches(llm, conversations, batch_size)


def _in_batches(
    llm: LanguageModel, conversations: Iterator[Conversation], batch_size: int
) -> Iterator[Heard]:
    while group := list(islice(conversations, batch_size)):
        yield from _together(llm, group)


def _together(llm: LanguageModel, group: Sequence[Conversation]) -> list[Heard]:
    """Leads dialogues side by side: each round asks all that are still open one question."""
    done: dict[int, Heard] = {}
    open_questions: dict[int, Question] = {}

    def go_on(index: int, answer: Answer | None) -> None:
        try:
            conversation = group[index]
            question = next(conversation) if answer is None else conversation.send(answer)
            open_questions[index] = question
        except StopIteration as stop:
            done[index] = stop.value

    for index in range(len(group)):
        go_on(index, None)
    while open_questions:
        asked, open_questions = open_questions, {}
        for windows in dict.fromkeys(question.windows for question in asked.values()):
            chosen = {i: q for i, q in asked.items() if q.windows == windows}
            answers = _ask(llm, list(chosen.values()), windows)
            for index, answer in zip(chosen, answers, strict=True):
                go_on(index, answer)
    return [done[index] for index in range(len(group))]


def _in_threads(
    llm: LanguageModel, conversations: Iterator[Conversation], workers: int
) -> Iterator[Heard]:
    running: deque[Future[Heard]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for conversation in conversations:
            running.append(pool.submit(_alone, llm, conversation))
            while running and (running[0].done() or len(running) >= 2 * workers):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(llm: LanguageModel, conversation: Conversation) -> Heard:
    try:
        question = next(conversation)
        while True:
            question = conversation.send(_ask(llm, [question], question.windows)[0])
    except StopIteration as stop:
        heard: Heard = stop.value
        return heard


def _ask(llm: LanguageModel, questions: Sequence[Question], windows: int | None) -> list[Answer]:
    dialogues = [question.dialogue for question in questions]
    answers = llm.answer(dialogues) if windows is None else llm.answer_flags(dialogues, windows)
    if not isinstance(answers, Sequence) or not all(_is_answer(each) for each in answers):
        raise LanguageModelError(
            f"{llm.name} must give a list of Answer, each with its text, got {shown(answers)}."
        )
    if len(answers) != len(dialogues):
        raise LanguageModelError(
            f"{llm.name} gave {len(answers)} answers to {len(dialogues)} dialogues; there must be "
            "one for each, in their order."
        )
    return list(answers)


def _is_answer(value: object) -> bool:
    return isinstance(value, Answer) and isinstance(value.text, str)
