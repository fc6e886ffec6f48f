// A measuring campaign as a person writes it: which models, in which quantizations and placements, with which
// prompts, how often.
#pragma once

#include "base/files.h"
#include "engine/load/placement.h"
#include "lab/campaign/axes.h"
#include "lab/campaign/mixes.h"
#include "lab/campaign/names.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace shimmy::lab {

// What a prompt or a task stands for, where the campaign says it. Recommendations by use are made of these.
inline constexpr std::array<const char *, 4> USES{"chat", "code", "long-prompts", "rag"};

struct Prompt {
    std::string id;           // file-name safe, unique in the campaign
    std::string text;         // a user's message; the model's chat template is applied
    std::string use = {};     // one of USES; empty: none
    std::string why = {};     // why it was chosen, for documents; may be empty
    std::string expect = {};  // what a right answer holds, in any case of letters; empty: nothing is expected
};

struct CampaignModel {
    std::string name;                         // file-name safe, unique in the campaign
    fs::path path;                            // F32, F16 or BF16 GGUF for quantizing; any for INPUT_AS_IS
    std::vector<std::string> quantizations;   // llama.cpp's spelling, a mix's name, or INPUT_AS_IS
    std::string base_model = {};              // "microsoft/Phi-3.5-MoE-instruct": id on the Hugging Face Hub
    std::string about = {};                   // the original's own card in short, for model cards
    std::string license = {};                 // as the Hub spells it: "mit", "apache-2.0", "other"
    std::string license_name = {};            // of "other"
    std::string license_link = {};            // of "other": a URL, or the file with its text
    std::vector<std::string> languages = {};  // for model cards; empty: those that the file names
    std::string expected_architecture = {};   // "phimoe": anything else is refused
    fs::path imatrix = {};                    // importance matrix that the quantizations are made with; empty: none
    fs::path imatrix_text = {};               // or the text that the campaign makes one of; empty: none
    int imatrix_chunks = 0;                   // of 512 tokens of it; 0: all
    // In place of `path`: a reference shape or a shape file, of which a model with random weights is written per
    // quantization (engine/make/synthesize.h). Its memory and speed are real, its text means nothing.
    std::string shape = {};
    int n_layers = 0;     // of a shape: only this many layers; 0: all
    bool sparse = false;  // of a shape: weights are zeros that take no disk

    bool is_synthetic() const { return !shape.empty(); }
    std::string source() const { return is_synthetic() ? shape : path.string(); }  // for messages
};

// How a run asks the model.
enum class Mode {
    generate,   // in the process that loads the model: no HTTP
    stream,     // through `shimmy serve` on loopback, answered as server-sent events
    no_stream,  // the same, answered whole
    load,       // many clients at once through `shimmy serve`, streaming, for a while
    task,       // all questions of a task file, as `shimmy eval` asks them
};
const char * to_string(Mode mode);  // "generate", "stream", "no-stream", "load", "task"

struct LoadTest {
    std::vector<int> clients;  // at once; empty: no load runs
    int duration_s = 30;
    int repeats = 1;
};

// What `shimmy quality` is run on at the end of the campaign.
struct QualityTest {
    fs::path text;               // evaluation text; empty: none
    int chunks = 0;              // 0: all
    bool check_offload = false;  // does every file predict the same with its experts on the CPU?
};

// A task file that every model file is scored on, as `shimmy eval` does.
struct CampaignTask {
    std::string id;             // file-name safe, unique among the tasks
    fs::path file;              // questions with answers
    std::string form = {};      // as `shimmy eval --form` takes it; empty: found by the content
    std::string use = {};       // one of USES; empty: none
    size_t n_shots = 0;         // examples before each question
    fs::path shots_file = {};   // of the examples; empty: the first questions
    size_t limit = 0;           // questions; 0: all
    int max_tokens = 256;       // of an answer in words
    bool chat = false;          // ask through the chat template
    int n_ctx = 0;              // 0: as `shimmy eval` takes it
    int timeout_s = 24 * 3600;  // of one model

    // By look_at_tasks():
    std::string sha256 = {};
    std::string shots_sha256 = {};  // empty: no such file
    size_t n_questions = 0;
    size_t n_chars = 0;  // of everything that is read for the answers
};

// Model cards: one per quantization, or one per model that lists all of them.
enum class CardLayout { per_quant, per_model };
const char * to_string(CardLayout layout);  // "per-quant", "per-model"

struct Campaign {
    fs::path file;     // where it was read from
    std::string text;  // what was read
    std::string name;
    fs::path out_dir;  // quantized models, results, report
    std::vector<Mix> mixes;
    std::vector<CampaignModel> models;
    std::vector<engine::Placement> placements;   // baseline and at least one that offloads
    std::vector<Mode> modes = {Mode::generate};  // those of `load` and `tasks` are not in it
    std::vector<Prompt> prompts;
    Axes axes;  // options that vary, or that hold for every run
    LoadTest load;
    QualityTest quality;
    std::vector<CampaignTask> tasks;
    std::string creator;     // who quantized, for model cards; may be empty
    std::string repo_owner;  // user or organisation on the Hub that the cards are for; may be empty
    CardLayout layout = CardLayout::per_quant;
    int repeats = 1;
    double temperature = 0.0;
    uint32_t seed = 42;
    int max_tokens = 100;
    int n_ctx = 4096;
    int n_threads = 0;  // 0: one per physical core
    std::string device =
        "gpu";                  // as engine::find_device takes it; "gpu": the best, a software one if there is no other
    int timeout_s = 3600;       // of one run, load included
    bool expert_trace = false;  // the first repeat writes which experts every token chose, beside its result
};

// Null: the quantization is none of the campaign's mixes.
const Mix * find_mix(const Campaign & campaign, const std::string & quantization);

// The prompts of a campaign that names none.
const std::vector<Prompt> & default_prompts();

// Reads a campaign file. Paths in it are relative to its folder. Throws UsageError with file:line for a syntax error,
// an unknown key, a wrong type, an empty list, a value out of range or a name used twice; Error if it cannot be read.
Campaign read_campaign(const fs::path & file);

// The same for text already read; `file` gives names and the base of relative paths.
Campaign parse_campaign(std::string_view text, const fs::path & file);

}  // namespace shimmy::lab
