"""A real vLLM answers as transformers does: in this process, and behind its own server."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("vllm", reason="vLLM is not installed here; `make test-vllm` has it")

from agents.backends.chat import chat_messages
from agents.backends.hf import HFAgent
from agents.backends.openai import Endpoint, OpenAIAgent
from agents.backends.vllm import PROMPT_TOKENS
from agents.multi_turn import TurnPolicy
from agents.rollout import Case, play, prompt_of
from agents.sampling import Sampling
from agents.vlm.checkpoint import load_checkpoint, vision_token_ids
from agents.vlm.encoding import complete, encode_prompts
from evaluation.options import EvalConfig, make_agent
from training.model.tiny import TINY_VIEW
from vsp_envs import TASKS, LayoutSpec, draw_distinct, get_task

CLOSE = 1e-4
GREEDY = Sampling(temperature=0, max_new_tokens=24)
LAYOUTS = [
    layout
    for task in TASKS
    for layout in draw_distinct(LayoutSpec(task, get_task(task).paper_levels[0]), 3, seed=0)
]
CASES = [Case(layout, input) for layout in LAYOUTS for input in ("image", "text")]
PROMPTS = [prompt_of(case, TINY_VIEW) for case in CASES]
WHOLE = {"top_p": 1, "top_k": 0, "min_p": 0, "repetition_penalty": 1}
"""What a server takes from the checkpoint's generation_config.json where a request says nothing."""


@pytest.fixture(scope="module")
def hf(checkpoint):
    return HFAgent(load_checkpoint(checkpoint, "float32"), GREEDY)


@pytest.fixture(scope="module")
def greedy(hf):
    return hf.answer(PROMPTS)


@torch.no_grad()
def logprobs(hf, prompts, completions, temperature=1.0):
    """The log-probability of each given token by transformers, vision tokens suppressed."""
    inputs = encode_prompts(hf.processor, prompts)
    ids = complete(inputs, completions, hf.processor.tokenizer.pad_token_id)
    logits = hf.model(**ids.inputs).logits[:, -ids.ids.shape[1] - 1 : -1].float() / temperature
    logits[..., vision_token_ids(hf.model.config)] = -torch.inf
    found = logits.log_softmax(-1).gather(-1, ids.ids[..., None])[..., 0]
    return [row[: len(each)].tolist() for row, each in zip(found, completions, strict=True)]


def test_greedy_replies_and_their_log_probabilities_are_those_of_transformers(hf, engine, greedy):
    engine.sampling = GREEDY
    replies = engine.answer(PROMPTS)
    assert [reply.text for reply in replies] == [reply.text for reply in greedy]
    assert [reply.ids for reply in replies] == [reply.ids for reply in greedy]
    reference = logprobs(hf, PROMPTS, [reply.ids for reply in replies])
    for reply, true in zip(replies, reference, strict=True):
        assert len(reply.ids) == reply.tokens == len(reply.logprobs)
        assert np.allclose(reply.logprobs, true, atol=CLOSE, rtol=0)


def test_the_engine_has_the_options_asked_for_and_room_for_no_more_than_the_model_can(hf, engine):
    found = engine.engine.llm_engine.vllm_config
    assert found.scheduler_config.max_num_seqs == 16 and found.model_config.enforce_eager
    most = hf.model.config.get_text_config().max_position_embeddings
    assert found.model_config.max_model_len == most < PROMPT_TOKENS + engine.sampling.max_new_tokens


def test_log_probabilities_are_those_of_the_distribution_that_was_drawn_from(hf, engine):
    engine.sampling = Sampling(temperature=0.7, max_new_tokens=16, seed=5)
    try:
        first, again = engine.answer(PROMPTS[:4]), engine.answer(PROMPTS[:4])
    finally:
        engine.sampling = GREEDY
    assert [reply.ids for reply in first] == [reply.ids for reply in again]
    reference = logprobs(hf, PROMPTS[:4], [reply.ids for reply in first], temperature=0.7)
    for reply, true in zip(first, reference, strict=True):
        assert np.allclose(reply.logprobs, true, atol=CLOSE, rtol=0)


def test_an_image_takes_as_many_tokens_as_the_processor_says(hf, engine):
    lengths = [int(encode_prompts(hf.processor, [each])["input_ids"].shape[1]) for each in PROMPTS]
    assert [reply.prompt_tokens for reply in engine.answer(PROMPTS)] == lengths


def test_the_engine_acts_step_by_step_with_several_images_in_a_prompt(engine):
    turn_policy = TurnPolicy(act="step", malformed="skip", history=2, max_turns=3)
    episodes = list(play(engine, CASES[:2], turn_policy=turn_policy))
    assert all(len(episode.turns) == 3 and not episode.error for episode in episodes)


def test_an_image_request_of_the_openai_client_is_answered_as_by_transformers(hf, greedy, server):
    from openai import OpenAI

    case = CASES.index(next(case for case in CASES if case.input == "image"))
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=120) as client:
        answer = client.chat.completions.create(
            model="tiny",
            messages=chat_messages(PROMPTS[case], CASES[case].layout.level),
            temperature=0,
            max_tokens=GREEDY.max_new_tokens,
            logprobs=True,
            logit_bias={str(token): -100 for token in vision_token_ids(hf.model.config)},
            extra_body=WHOLE,
        )
    [choice] = answer.choices
    assert choice.message.content == greedy[case].text
    [reference] = logprobs(hf, [PROMPTS[case]], [greedy[case].ids])
    found = [each.logprob for each in choice.logprobs.content]
    assert np.allclose(found, reference, atol=CLOSE, rtol=0)


def endpoint_of(server, hf):
    """The server, asked for the model itself and for no token of a picture."""
    bias = {str(token): -100 for token in vision_token_ids(hf.model.config)}
    request = json.dumps({**WHOLE, "logit_bias": bias})
    return Endpoint(base_urls=(f"{server.url}/v1",), request=request, concurrency=16)


def test_our_own_client_gets_the_same_replies_from_the_server(hf, greedy, server):
    agent = OpenAIAgent("tiny", endpoint_of(server, hf), GREEDY, TINY_VIEW)
    episodes = list(play(agent, CASES))
    assert [episode.error for episode in episodes] == [""] * len(CASES)
    # The server keeps back the bytes of a character that the reply breaks off in.
    said = [episode.reply.rstrip("\ufffd") for episode in episodes]
    assert said == [reply.text.rstrip("\ufffd") for reply in greedy]
    assert all(episode.tokens and episode.prompt_tokens for episode in episodes)


def test_a_served_checkpoint_asked_with_its_view_answers_100_boards_as_it_does_here(
    hf, checkpoint, server, tmp_path
):
    more = {
        "agent": "openai", "model": "tiny", "endpoint": endpoint_of(server, hf),
        "max_new_tokens": 24,
    }  # fmt: skip
    served = make_agent(EvalConfig(out=tmp_path, view=checkpoint, **more))
    assert served.view == hf.view == TINY_VIEW
    layouts = draw_distinct(LayoutSpec("frozenlake", 4), 100, seed=1)
    cases = [Case(layout) for layout in layouts]
    found, local = (list(play(agent, cases)) for agent in (served, hf))
    assert [each.error for each in found] == [""] * 100
    said, there = ([each.reply.rstrip("\ufffd") for each in some] for some in (found, local))
    assert sum(one == other for one, other in zip(said, there, strict=True)) >= 99  # near ties
    assert [each.success for each in found] == [each.success for each in local]
