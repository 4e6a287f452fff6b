"""A `generation_config.json` with a strange value in every field that is about sampling."""

STRANGE = {
    "max_length": 7, "max_new_tokens": 2, "min_length": 50, "min_new_tokens": 9,
    "early_stopping": True, "max_time": 1e-6, "stop_strings": ["a", "e", " "], "do_sample": True,
    "num_beams": 3, "use_mtp": True, "use_cache": False, "cache_implementation": "static",
    "cache_config": {"backend": "quanto"}, "max_cache_len": 3, "temperature": 0.1, "top_k": 1,
    "top_p": 0.01, "min_p": 0.9, "top_h": 0.1, "typical_p": 0.1, "epsilon_cutoff": 0.5,
    "eta_cutoff": 0.5, "repetition_penalty": 5.0, "encoder_repetition_penalty": 5.0,
    "length_penalty": -5.0, "no_repeat_ngram_size": 1, "bad_words_ids": [[9], [10], [11]],
    "renormalize_logits": True, "forced_bos_token_id": 9, "forced_eos_token_id": 9,
    "remove_invalid_values": True, "exponential_decay_length_penalty": [1, 9.0],
    "suppress_tokens": [*range(20, 200)], "begin_suppress_tokens": [*range(200, 380)],
    "sequence_bias": [[[12], 50.0]], "token_healing": True, "guidance_scale": 3.0,
    "watermarking_config": {"greenlist_ratio": 0.1, "bias": 20.0}, "num_return_sequences": 2,
    "output_attentions": True, "output_hidden_states": True, "output_scores": True,
    "output_logits": True, "return_dict_in_generate": True, "bos_token_id": 9,
    "encoder_no_repeat_ngram_size": 1, "decoder_start_token_id": 9, "is_assistant": True,
    "num_assistant_tokens": 9, "num_assistant_tokens_schedule": "constant",
    "assistant_confidence_threshold": 0.9, "prompt_lookup_num_tokens": 3,
    "max_matching_ngram_size": 1, "assistant_early_exit": 1, "assistant_lookbehind": 1,
    "target_lookbehind": 1, "assistant_ensemble_weight": 0.5, "speculation_type": "strange",
    "compile_config": {"mode": "default"}, "disable_compile": False,
    "continuous_batching_config": {"block_size": 2}, "low_memory": True, "penalty_alpha": 0.6,
    "dola_layers": "low", "diversity_penalty": 5.0, "num_beam_groups": 3, "constraints": [9],
    "force_words_ids": [[9]], "prefill_chunk_size": 1,
}  # fmt: skip
KEPT = {"eos_token_id", "pad_token_id", "_from_model_config", "transformers_version"}
"""Fields that say what ends a reply and which version wrote the file."""
IN_A_FILE = STRANGE.keys() - {"compile_config", "continuous_batching_config", "max_new_tokens"}
"""Fields that JSON can say; vLLM's server takes `max_new_tokens` for a limit of its own."""
