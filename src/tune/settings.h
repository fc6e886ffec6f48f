// The settings that are worth trying for a model on a machine, as options of shimmy's command line.
#pragma once

#include <string>
#include <vector>

namespace shimmy::tune {

struct Value {
    std::string text;                  // "1024"
    std::vector<std::string> options;  // that choose it, as words; empty: what happens without an option
};

struct Setting {
    std::string name;           // "ubatch"
    std::vector<Value> values;  // the first is the default
    bool changes_text = false;  // other results, not only another speed: for people to know
};

// What is known of the model and the machine once it has been loaded with the defaults.
struct Facts {
    int n_physical = 1;     // cores, as threads by default
    int n_performance = 0;  // of the fastest kind; 0: all are alike
    int n_logical = 1;      // CPUs
    bool on_gpu = false;    // everything that is not kept on the CPU
    bool has_plugin = false;
    bool has_experts = false;
    int n_layers = 0;
    int n_cpu_moe = 0;  // that was chosen; -1: all layers
    bool larger_than_ram = false;
    int n_prompt = 0;   // tokens of a prompt that are measured: larger batches cannot be told apart
    int n_clients = 1;  // whose prompts share a batch
};

// The options of which any one, given by the user, decides a setting, so that it is not tried and a profile's is not
// used. Empty for a name that is none.
const std::vector<std::string> & options_that_decide(const std::string & setting);

// Speculation with n-grams of the text, which is raced by itself: it needs answers that the model chooses, and other
// settings only the time of computing them. None where `given` decides it, or several clients share a batch.
std::vector<Setting> speculation_settings(const Facts & facts, const std::vector<std::string> & given);

// In the order in which they are raced: those that matter most first, since time may run out. Without those of which
// `given` (options of the command line, "--threads") holds a decision, and those with one value.
std::vector<Setting> settings_for(const Facts & facts, const std::vector<std::string> & given);

}  // namespace shimmy::tune
