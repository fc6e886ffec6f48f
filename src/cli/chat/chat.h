// A chat in the terminal: reads what the user says, lets the model answer, and obeys commands that begin with '/'.
#pragma once

#include "cli/chat/conversation.h"
#include "cli/chat/terminal.h"

#include <string>
#include <string_view>
#include <vector>

namespace shimmy::cli {

class Chat {
public:
    Chat(const engine::Model & model, Conversation & conversation, Terminal & terminal)
        : model_(model), conversation_(conversation), terminal_(terminal) {}

    // "/help", "/system", …: for the tabulator.
    static std::vector<std::string> commands();

    // Until the input ends, or /exit. Throws Interrupted for a SIGTERM or a Ctrl-C that stops nothing.
    void run();

    // One question and its answer.
    void ask(const std::string & text);

private:
    using Handler = void (Chat::*)(const std::string & argument);
    struct Command;
    static const std::vector<Command> & table();

    void obey(std::string_view line);
    void answer(bool again, const std::string & text);
    void help(const std::string & argument);
    void system(const std::string & text);
    void image(const std::string & file);
    void again(const std::string & argument);
    void take_back(const std::string & argument);
    void clear(const std::string & argument);
    void save(const std::string & file);
    void load(const std::string & file);
    void set(const std::string & assignment);
    void show_experts(const std::string & argument);
    void leave(const std::string & argument);

    const engine::Model & model_;
    Conversation & conversation_;
    Terminal & terminal_;
    bool done_ = false;
};

}  // namespace shimmy::cli
