// libFuzzer entry: a byte that chooses one of the chat templates that llama.cpp keeps for its tests, and any bytes as a
// request in OpenAI's form. What is within the bounds must become a prompt, and if answers are held to a grammar, one
// that llama.cpp reads; or be refused with a message.
#include "base/files.h"
#include "serve/bounds/media.h"
#include "serve/bounds/members.h"
#include "serve/bounds/request_bounds.h"
#include "serve/http/request.h"
#include "serve/prompt/chat.h"

#include "chat.h"
#include "complain.h"
#include "llama-grammar.h"
#include "log.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace shimmy::serve;
using shimmy::Json;
using shimmy::fs::directory_iterator;
using shimmy::fs::path;

std::vector<path> template_files() {
    std::vector<path> files;
    for (const auto & entry : directory_iterator(SHIMMY_TEMPLATES)) {
        if (entry.path().extension() == ".jinja") files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    return files;
}

// As a model's process keeps it; read at its first use.
const server_chat_params & chat_of(size_t i) {
    static const std::vector<path> files = template_files();
    static std::vector<std::unique_ptr<server_chat_params>> all(files.size());
    i %= files.size();
    if (!all[i]) {
        all[i] = std::make_unique<server_chat_params>();
        all[i]->use_jinja = true;
        all[i]->prefill_assistant = true;
        all[i]->reasoning_format = COMMON_REASONING_FORMAT_DEEPSEEK;
        all[i]->allow_image = all[i]->allow_audio = all[i]->allow_video = false;
        all[i]->tmpls = common_chat_templates_init(nullptr, shimmy::read_file(files[i]));
    }
    return *all[i];
}

void render(const server_chat_params & chat, const std::string & text) {
    Json body = parse_object(text);
    require_supported(body, Dialect::chat);
    require_bounded(body);
    require_messages(body);
    require_media(body);
    std::vector<raw_buffer> files;
    const json parameters = worker::chat_parameters(chat, worker::without_nulls(json::parse(to_text(body))), files);
    const std::string grammar = json_value(parameters, "grammar", std::string());
    if (grammar.empty() || body.contains("grammar")) return;  // one of the client's is refused where it is used
    llama_grammar_parser parser(nullptr);
    if (!parser.parse(grammar.c_str()) || parser.rules.empty())
        shimmy::fuzz::complain("a grammar that cannot be read", grammar);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t * data, size_t n_bytes) {
    if (n_bytes == 0) return 0;
    common_log_set_verbosity_thold(LOG_LEVEL_OUTPUT);
    try {
        render(chat_of(data[0]), std::string(reinterpret_cast<const char *>(data) + 1, n_bytes - 1));
    } catch (const std::exception &) {  // a 400
    }
    return 0;
}
