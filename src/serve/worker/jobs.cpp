#include "serve/worker/jobs.h"

#include "serve/forms/responses.h"
#include "serve/prompt/chat.h"

#include "base/error.h"

#include "server-chat.h"
#include "server-schema.h"

#include <algorithm>
#include <charconv>
#include <map>

namespace shimmy::serve::worker {

namespace {

const std::map<std::string, task_response_type> & completion_routes() {
    static const std::map<std::string, task_response_type> routes{
        {"/v1/chat/completions", TASK_RESPONSE_TYPE_OAI_CHAT},
        {"/v1/completions", TASK_RESPONSE_TYPE_OAI_CMPL},
        {"/v1/responses", TASK_RESPONSE_TYPE_OAI_RESP},
        {"/v1/messages", TASK_RESPONSE_TYPE_ANTHROPIC},
        {"/completion", TASK_RESPONSE_TYPE_NONE},
        {"/infill", TASK_RESPONSE_TYPE_NONE},
    };
    return routes;
}

// ---- Prompts that cannot fit ----

[[noreturn]] void refuse_length(size_t n_tokens, uint32_t n_ctx, const char * at_least) {
    json error = format_error_response(
        fmt::format("request ({}{} tokens) exceeds the available context size ({} tokens), try increasing it", at_least,
                    n_tokens, n_ctx),
        ERROR_TYPE_EXCEED_CONTEXT_SIZE);
    error["n_prompt_tokens"] = n_tokens;
    error["n_ctx"] = n_ctx;
    throw JobError(std::move(error));
}

// Tokens that this becomes at least, whatever the tokenizer does.
size_t least_tokens(const HostedModel & model, const json & prompt) {
    if (prompt.is_string()) {
        const std::string text = prompt.get<std::string>();
        const auto n_bytes = model.keeps_spaces()
                                 ? static_cast<ptrdiff_t>(text.size())
                                 : std::count_if(text.begin(), text.end(), [](char c) { return c != ' '; });
        return static_cast<size_t>(n_bytes) / model.longest_token_bytes();
    }
    if (prompt.is_number()) return 1;
    if (prompt.is_object())
        return prompt.contains("prompt_string") ? least_tokens(model, prompt.at("prompt_string")) : 0;
    size_t n = 0;
    if (prompt.is_array()) {
        for (const json & part : prompt)
            n += least_tokens(model, part);
    }
    return n;
}

// A prompt as llama.cpp takes it: a text, tokens, or a mixture; or several of these.
bool holds_several(const json & prompt) {
    return prompt.is_array() && !json_is_array_and_contains_numbers(prompt);
}

void require_length(const HostedModel & model, const json & prompt) {
    const uint32_t n_ctx = model.loaded().n_ctx;
    const auto check = [&](const json & one) {
        const size_t n = least_tokens(model, one);
        if (n > n_ctx) refuse_length(n, n_ctx, "at least ");
    };
    if (!holds_several(prompt)) return check(prompt);
    for (const json & one : prompt)
        check(one);
}

// Of a conversation, before a chat template makes one text of it, which takes long and ten times its memory: templates
// keep what messages say, and mark each.
void require_chat_length(const HostedModel & model, const json & request) {
    const json & messages = request.at("messages");
    const uint32_t n_ctx = model.loaded().n_ctx;
    size_t n = 0;
    for (const json & message : messages) {
        if (!message.is_object() || !message.contains("content")) continue;
        const json & content = message.at("content");
        if (content.is_string()) {
            n += least_tokens(model, content);
        } else if (content.is_array()) {
            for (const json & part : content)
                n += part.is_object() && part.contains("text") ? least_tokens(model, part.at("text")) : 0;
        }
    }
    n = std::max(n, messages.size());
    if (n > n_ctx) refuse_length(n, n_ctx, "at least ");
}

std::vector<server_tokens> tokenize(const HostedModel & model, const json & prompt, bool add_special) {
    require_length(model, prompt);
    std::vector<server_tokens> inputs =
        tokenize_input_prompts(model.vocab(), nullptr, prompt, add_special, true, mtmd_helper_init_opt_default());
    const auto n_vocab = llama_vocab_n_tokens(model.vocab());
    for (const server_tokens & input : inputs) {
        for (const llama_token token : input.get_tokens()) {
            if (token < 0 || token >= n_vocab)
                throw JobError(ERROR_TYPE_INVALID_REQUEST, fmt::format("there is no token {}", token));
        }
    }
    return inputs;
}

// ---- Text ----

json infill_parameters(const HostedModel & model, json request) {
    const llama_vocab * vocab = model.vocab();
    for (const llama_token token :
         {llama_vocab_fim_pre(vocab), llama_vocab_fim_suf(vocab), llama_vocab_fim_mid(vocab)}) {
        if (token == LLAMA_TOKEN_NULL)
            throw JobError(ERROR_TYPE_NOT_SUPPORTED, "this model cannot fill in: it has no tokens for that");
    }
    for (const char * key : {"input_prefix", "input_suffix"}) {
        if (!request.contains(key)) throw JobError(ERROR_TYPE_INVALID_REQUEST, fmt::format("\"{}\" is missing", key));
        require_length(model, request.at(key));
    }
    const json extra = json_value(request, "input_extra", json::array());
    for (const json & chunk : extra) {
        if (!chunk.is_object() || !chunk.contains("text") || !chunk.at("text").is_string())
            throw JobError(ERROR_TYPE_INVALID_REQUEST, "\"input_extra\" must hold objects with a \"text\"");
    }
    const std::string prompt = json_value(request, "prompt", std::string());
    const std::vector<server_tokens> tokens = tokenize(model, prompt, /*add_special=*/false);
    const common_params & params = model.params();
    request["prompt"] =
        format_prompt_infill(vocab, request.at("input_prefix"), request.at("input_suffix"), extra, params.n_batch,
                             params.n_predict, model.meta().slot_n_ctx, params.spm_infill, tokens.at(0).get_tokens());
    return request;
}

bool is_chat(const std::string & route) {
    return route == "/v1/chat/completions" || route == "/v1/responses" || route == "/v1/messages";
}

// Of every API that speaks in messages, in OpenAI's form.
json chat_request(const std::string & route, json request) {
    if (route == "/v1/responses")
        return server_chat_convert_responses_to_chatcmpl(readable_response_request(std::move(request)));
    if (route == "/v1/messages") return chat_from_anthropic(std::move(request));
    return request;
}

server_task make_task(const HostedModel & model, server_response_reader & reader, server_tokens tokens,
                      const json & data, task_response_type shape, const std::string & id) {
    server_task task(SERVER_TASK_TYPE_COMPLETION);
    task.id = reader.get_new_id();
    task.tokens = std::move(tokens);
    task.params =
        server_schema::eval_llama_cmpl_schema(model.vocab(), model.params(), model.meta().logit_bias_eog, data);
    task.id_slot = json_value(data, "id_slot", -1);
    if (task.id_slot != -1) require_slot(model, std::to_string(task.id_slot));
    task.params.res_type = shape;
    task.params.oaicompat_cmpl_id = id;
    task.params.oaicompat_model = model.meta().model_name;
    return task;
}

// Every probability is told as an object of JSON of 300 bytes, and all stay until the answer ends. As many for a token
// as OpenAI's API lets there be pass whatever the answer's length.
constexpr size_t MAX_SCORES = 500'000;
constexpr size_t ALWAYS_TOLD = 20;

void require_few_scores(const HostedModel & model, const task_params & params, size_t n_prompts) {
    const auto n_vocab = static_cast<size_t>(llama_vocab_n_tokens(model.vocab()));
    const auto n_told = std::min(static_cast<size_t>(std::max(params.sampling.n_probs, 0)), n_vocab);
    if (n_told <= ALWAYS_TOLD) return;
    const auto n_ctx = static_cast<size_t>(model.loaded().n_ctx);
    const size_t n_answer = params.n_predict < 0 ? n_ctx : std::min(static_cast<size_t>(params.n_predict), n_ctx);
    const size_t n_answers = n_prompts * static_cast<size_t>(std::max(params.n_cmpl, 1));
    if (n_told * n_answer * n_answers > MAX_SCORES)
        throw JobError(
            ERROR_TYPE_INVALID_REQUEST,
            fmt::format("probabilities (\"n_probs\", \"logprobs\") of {} tokens in each of up to {} places are "
                        "too many: at most {} are told; ask for {} in each, or set \"max_tokens\"",
                        n_told, n_answer * n_answers, MAX_SCORES, ALWAYS_TOLD));
}

std::vector<server_task> text_tasks(const HostedModel & model, server_response_reader & reader, const json & data,
                                    task_response_type shape, const std::string & id) {
    common_chat_msg_delimiters delimiters =
        common_chat_msg_delimiters_parse(json_value(data, "message_delimiters", json::array()));
    delimiters.tokenize(model.vocab());
    std::vector<server_task> tasks;
    for (server_tokens & input : tokenize(model, data.at("prompt"), /*add_special=*/true)) {
        const size_t n_tokens = input.size();
        if (n_tokens >= model.loaded().n_ctx) refuse_length(n_tokens, model.loaded().n_ctx, "");
        server_task task = make_task(model, reader, std::move(input), data, shape, id);
        task.params.message_spans = task.tokens.find_message_spans(delimiters);
        tasks.push_back(std::move(task));
    }
    if (!tasks.empty()) require_few_scores(model, tasks.front().params, tasks.size());
    return tasks;
}

// Only llama.cpp's own loop reaches the projector, so a prompt with pictures becomes tokens there, as for llama-cli.
std::vector<server_task> media_tasks(const HostedModel & model, server_response_reader & reader, const json & data,
                                     std::vector<raw_buffer> files, task_response_type shape, const std::string & id) {
    require_length(model, data.at("prompt"));
    server_task task = make_task(model, reader, server_tokens(), data, shape, id);
    if (task.params.n_cmpl > 1)  // each would need the tokens now
        throw JobError(ERROR_TYPE_NOT_SUPPORTED, "\"n\" must be 1 where there are pictures or sounds");
    require_few_scores(model, task.params, 1);
    task.cli = true;
    task.cli_prompt = data.at("prompt").get<std::string>();
    task.cli_files = std::move(files);
    std::vector<server_task> tasks;
    tasks.push_back(std::move(task));
    return tasks;
}

// ---- Prompts that are echoed ----

void read_echo(const HostedModel & model, const json & data, Job & job) {
    const json logprobs = json_value(data, "logprobs", json());
    job.only_echo = json_value(data, "max_tokens", -1) == 0;
    job.n_top_echoed = logprobs.is_number() ? logprobs.get<int>() : logprobs == json(true) ? 0 : -1;
    if (job.n_top_echoed >= 0 && !model.params().lora_adapters.empty())
        throw JobError(ERROR_TYPE_NOT_SUPPORTED, "\"logprobs\" of a prompt are not given with LoRA adapters");
}

void add_echoed(const HostedModel & model, const server_tokens & tokens, const json & prompt, Job & job) {
    EchoedPrompt echoed;
    echoed.tokens = tokens.get_tokens();
    // A text got the token that begins one where the model was trained with it; tokens stand for themselves.
    const json & first = holds_several(prompt) ? prompt.at(0) : prompt;
    echoed.begins_with_bos = first.is_string() && llama_vocab_get_add_bos(model.vocab()) && !echoed.tokens.empty() &&
                             echoed.tokens.front() == llama_vocab_bos(model.vocab());
    size_t n_tokens = echoed.tokens.size();
    for (const EchoedPrompt & other : job.echoed)
        n_tokens += other.tokens.size();
    if (job.n_top_echoed > 0 && n_tokens * static_cast<size_t>(job.n_top_echoed) > MAX_SCORES)
        throw JobError(ERROR_TYPE_INVALID_REQUEST,
                       fmt::format("\"logprobs\" of {} for {} tokens of \"prompt\" are too many: at most {} are told",
                                   job.n_top_echoed, n_tokens, MAX_SCORES));
    job.echoed.push_back(std::move(echoed));
}

}  // namespace

void require_slot(const HostedModel & model, const std::string & number) {
    int slot = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), slot);
    const bool is_number = error == std::errc{} && end == number.data() + number.size();
    if (!is_number || slot < 0 || slot >= static_cast<int>(model.loaded().n_parallel))
        throw JobError(ERROR_TYPE_INVALID_REQUEST, fmt::format("there is no slot {}: \"id_slot\" is 0 to {}", number,
                                                               model.loaded().n_parallel - 1));
}

bool is_completion(const std::string & route) {
    return completion_routes().contains(route);
}

bool is_embedding(const std::string & route) {
    return route == "/v1/embeddings" || route == "/embedding";
}

std::string readable_body(const std::string & route, const std::string & body) {
    if (body.empty()) return body;
    json request = without_nulls(json::parse(body));
    if (route == "/v1/responses/input_tokens") request = readable_response_request(std::move(request));
    if (route == "/v1/messages/count_tokens") request = quiet_anthropic(std::move(request));
    return request.dump_safe();
}

Job make_completion(const HostedModel & model, server_response_reader & reader, const std::string & route,
                    const std::string & body) {
    json request = without_nulls(json::parse(body));
    Job job;
    if (route == "/v1/messages") job.stop_sequences = json_value(request, "stop_sequences", std::vector<std::string>());
    json data;
    std::vector<raw_buffer> files;
    if (is_chat(route)) {
        request = chat_request(route, std::move(request));
        if (request.contains("messages") && request.at("messages").is_array()) require_chat_length(model, request);
        job.begun = begun_text(request);
        data = chat_parameters(model.meta().chat_params, std::move(request), files);
    } else if (route == "/infill") {
        data = infill_parameters(model, std::move(request));
    } else {
        if (!request.contains("prompt")) throw JobError(ERROR_TYPE_INVALID_REQUEST, "\"prompt\" is missing");
        data = with_enforceable_schema(std::move(request));
    }
    job.shape = completion_routes().at(route);
    job.streams = json_value(data, "stream", false);
    const bool echoes = route == "/v1/completions" && json_value(data, "echo", false);
    if (echoes) read_echo(model, data, job);
    const std::string id = gen_chatcmplid();
    std::vector<server_task> tasks = files.empty() ? text_tasks(model, reader, data, job.shape, id)
                                                   : media_tasks(model, reader, data, std::move(files), job.shape, id);
    for (server_task & task : tasks) {
        if (route == "/infill") task.type = SERVER_TASK_TYPE_INFILL;
        if (echoes) add_echoed(model, task.tokens, data.at("prompt"), job);
        job.n_choices = std::max(1, task.params.n_cmpl);
        for (int i = 1; i < job.n_choices; ++i)
            task.add_child(task.id, reader.get_new_id());
        job.tasks.push_back(std::move(task));
    }
    return job;
}

Job make_embedding(const HostedModel & model, server_response_reader & reader, const std::string & route,
                   const std::string & body) {
    if (!model.params().embedding)
        throw JobError(ERROR_TYPE_NOT_SUPPORTED, "embeddings need `shimmy serve --embeddings`");
    Job job;
    job.shape = route == "/v1/embeddings" ? TASK_RESPONSE_TYPE_OAI_EMBD : TASK_RESPONSE_TYPE_NONE;
    const bool pools = model.meta().pooling_type != LLAMA_POOLING_TYPE_NONE;
    if (job.shape != TASK_RESPONSE_TYPE_NONE && !pools)
        throw JobError(ERROR_TYPE_INVALID_REQUEST, "--pooling none gives an embedding for each token: ask /embedding");
    job.request = json::parse(body);
    const bool has_input = job.request.contains("input");
    if (!has_input && !job.request.contains("content"))
        throw JobError(ERROR_TYPE_INVALID_REQUEST, "\"input\" is missing");
    if (!has_input) job.shape = TASK_RESPONSE_TYPE_NONE;  // "content" is llama.cpp's own
    const std::string format = json_value(job.request, "encoding_format", std::string("float"));
    if (format != "float" && format != "base64")
        throw JobError(ERROR_TYPE_INVALID_REQUEST, "\"encoding_format\" must be \"float\" or \"base64\"");
    job.base64 = format == "base64";
    const int normalize = json_value(job.request, "embd_normalize", model.params().embd_normalize);
    const json & input = job.request.at(has_input ? "input" : "content");
    for (server_tokens & tokens : tokenize(model, input, /*add_special=*/true)) {
        if (tokens.empty()) throw JobError(ERROR_TYPE_INVALID_REQUEST, "\"input\" must not be empty");
        // Whole in one batch, and within the context.
        const auto most = std::min(model.loaded().n_ctx, static_cast<uint32_t>(model.params().n_ubatch));
        if (tokens.size() > most) refuse_length(tokens.size(), most, "");
        server_task task(SERVER_TASK_TYPE_EMBEDDING);
        task.id = reader.get_new_id();
        task.tokens = std::move(tokens);
        task.params.res_type = job.shape;
        task.params.embd_normalize = normalize;
        job.tasks.push_back(std::move(task));
    }
    return job;
}

}  // namespace shimmy::serve::worker
