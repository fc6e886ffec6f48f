// shimmy chat and shimmy run: a conversation in the terminal.
#include "cli/chat/chat.h"
#include "base/error.h"
#include "base/text/text_file.h"
#include "cli/answer_options.h"
#include "cli/command.h"
#include "cli/model_name.h"
#include "cli/placement_options.h"
#include "cli/print/load_progress.h"
#include "cli/print/memory_text.h"
#include "engine/experts/expert_use.h"
#include "engine/run/model.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

namespace shimmy::cli {

namespace {

struct ChatArguments : AnswerOptions {
    bool no_history = false;
};

fs::path history_file(const ChatArguments & options) {
    const char * state = std::getenv("XDG_STATE_HOME");
    const char * home = std::getenv("HOME");
    if (options.no_history || (state == nullptr && home == nullptr)) return "";
    return (state != nullptr ? fs::path(state) : fs::path(home) / ".local/state") / "shimmy/chat_history";
}

int converse(ChatArguments options, Globals globals, bool once) {
    if (globals.json) fail_usage("a chat is no document: leave out --json (shimmy generate --json has one)");
    std::vector<engine::Image> images = read_images(options);
    complete_load(options, globals);
    load_backends(globals, options.load.device);
    engine::Model model = load_model(options.load, globals);
    if (!model.has_chat_template())
        fail("{}: the model has no chat template, so it holds no conversation (shimmy generate continues a text)",
             options.load.path);
    print_placement(model.placement());
    warn_of_no_cache(globals, model);
    print_load_mode();
    if (const std::string why = model.why_no_speculation(); !why.empty()) fmt::print(stderr, "{}\n", why);
    engine::reset_expert_use();  // the warm-up chose experts too
    Conversation conversation(model);
    conversation.settings = {options.sampling, options.max_tokens, /*thinks=*/true};
    conversation.set_system(options.system);
    for (engine::Image & image : images)
        conversation.show(std::move(image));
    Terminal terminal(Chat::commands(), once ? fs::path() : history_file(options));
    Chat chat(model, conversation, terminal);
    if (!options.text.empty()) chat.ask(options.text);
    if (!once) chat.run();
    return 0;
}

int run_chat(ChatArguments options, const Globals & globals) {
    name_words(options, "chat");
    return converse(std::move(options), globals, /*once=*/false);
}

// A name with a '/' that is no file is one on the Hub, as in Ollama's "hf.co/USER/NAME".
std::string run_name(const std::string & name) {
    const bool is_repository = std::count(name.begin(), name.end(), '/') == 1 && !name.starts_with("/") &&
                               !name.starts_with(".") && !name.starts_with("~");
    return is_repository && !fs::exists(name) && canonical_model_name(name) == name ? "hf:" + name : name;
}

int run_run(ChatArguments options, const Globals & globals) {
    name_words(options, "run");
    options.model = run_name(options.model);
    const bool from_input = options.text == "-" || (options.text.empty() && ::isatty(STDIN_FILENO) == 0);
    if (from_input) options.text = read_text_file("-");
    const bool once = !options.text.empty();
    if (from_input && !once) fail_usage("standard input holds no prompt");
    return converse(std::move(options), globals, once);
}

constexpr const char * NOTES =
    "Commands in a chat begin with '/'; /help shows them. \"\"\" begins and ends a text of several lines. Ctrl-C stops an "
    "answer, Ctrl-D leaves. Lines are remembered in shimmy/chat_history in XDG_STATE_HOME or ~/.local/state. What the "
    "context holds of the conversation is not computed again.";

}  // namespace

void add_chat(Commands & commands) {
    auto options = std::make_shared<ChatArguments>();
    CLI::App * command = commands.add("chat", "chat with a model in the terminal",
                                      [options, &commands] { return run_chat(*options, commands.globals()); });
    add_answer_options(*command, commands, *options, "first question");
    command->add_flag("--no-history", options->no_history, "do not remember lines from chat to chat");
    command->footer(NOTES);
}

void add_run(Commands & commands) {
    auto options = std::make_shared<ChatArguments>();
    CLI::App * command = commands.add("run", "download a model where needed, and answer a prompt or chat",
                                      [options, &commands] { return run_run(*options, commands.globals()); });
    add_answer_options(*command, commands, *options,
                       "prompt; - for standard input, which is also read if it is no terminal");
    command->add_flag("--no-history", options->no_history, "do not remember lines from chat to chat");
    command->footer(std::string("USER/NAME[:QUANT] means the Hub, too. With a prompt, it answers and ends. ") + NOTES);
}

}  // namespace shimmy::cli
