#include "engine/speculate/speculation.h"

#include "base/error.h"
#include "base/stopwatch.h"
#include "engine/llama/log.h"
#include "engine/load/llama_params.h"

#include <algorithm>
#include <array>

namespace shimmy::engine {

namespace {

using SpecType = common_speculative_type;

// Those that read the hidden states of every batch. The others draft from the text alone, or with a model of their own.
constexpr std::array STATE_TYPES{COMMON_SPECULATIVE_TYPE_DRAFT_MTP, COMMON_SPECULATIVE_TYPE_DRAFT_EAGLE3,
                                 COMMON_SPECULATIVE_TYPE_DRAFT_DFLASH, COMMON_SPECULATIVE_TYPE_DRAFT_DSPARK};

bool has(const std::vector<SpecType> & types, SpecType type) {
    return std::find(types.begin(), types.end(), type) != types.end();
}

bool reads_states(const std::vector<SpecType> & types) {
    return std::any_of(STATE_TYPES.begin(), STATE_TYPES.end(), [&](SpecType type) { return has(types, type); });
}

std::vector<SpecType> wanted_types(const common_params_speculative & params) {
    std::vector<SpecType> types;
    std::copy_if(params.types.begin(), params.types.end(), std::back_inserter(types),
                 [](SpecType type) { return type != COMMON_SPECULATIVE_TYPE_NONE; });
    return types;
}

// A context beside the model's, which computes the drafts.
bool has_context(const std::vector<SpecType> & types) {
    return reads_states(types) || has(types, COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE);
}

}  // namespace

void require_possible_speculation(LoadOptions & options) {
    if (options.llama_args.empty()) return;
    common_params params;
    apply_llama_args(options.llama_args, params);
    const std::vector<SpecType> types = wanted_types(params.speculative);
    for (const SpecType type : types) {
        const std::string name = common_speculative_type_to_str(type);
        if (!has_context({type}) || params.speculative.has_dft()) continue;
        if (type != COMMON_SPECULATIVE_TYPE_DRAFT_MTP) fail_usage("--spec {} needs --model-draft", name);
        if (!predicts_further_tokens(options.open_file()))
            fail_usage(
                "--spec {}: {} has no layers that predict further tokens (shimmy inspect: n_layers_nextn), nor is "
                "there a --model-draft with them",
                name, options.shown_name());
    }
    if (reads_states(types) && !params.mmproj.path.empty())
        fail_usage("--spec {} and --mmproj: drafts of this kind do not go on behind a picture; leave one of them out",
                   common_speculative_type_name_str(types));
}

std::unique_ptr<Speculation> Speculation::make(const LoadOptions & options, const LoadParams & params,
                                               llama_model * model, llama_context * context) {
    common_params_speculative speculative = params.common().speculative;
    std::vector<std::vector<SpecType>> kinds;
    if (options.measures_speculation) {
        kinds.push_back({COMMON_SPECULATIVE_TYPE_NGRAM_MOD});
        if (speculative.has_dft()) kinds.push_back({COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE});
        if (has(speculative.types, COMMON_SPECULATIVE_TYPE_DRAFT_MTP))
            kinds.push_back({COMMON_SPECULATIVE_TYPE_DRAFT_MTP});
    } else if (const auto types = wanted_types(speculative); !types.empty()) {
        kinds.push_back(types);
    }
    if (kinds.empty()) return nullptr;
    const common_context_seq_rm_type going_back = common_context_can_seq_rm(context);
    if (going_back != COMMON_CONTEXT_SEQ_RM_TYPE_PART && going_back != COMMON_CONTEXT_SEQ_RM_TYPE_RS) {
        if (options.measures_speculation) return nullptr;  // there is nothing to choose
        fail_usage("{}: cannot take tokens back, which speculation here needs; shimmy serve can speculate with it",
                   options.shown_name());
    }
    std::unique_ptr<Speculation> made(new Speculation);
    made->name_ = options.shown_name();
    made->is_measured_ = options.measures_speculation;
    if (going_back == COMMON_CONTEXT_SEQ_RM_TYPE_RS) made->n_most_ = llama_n_rs_seq(context);
    made->trial_ = SpeculationTrial(options.measures_speculation ? kinds.size() : 0);
    const LogCapture log;
    const bool has_own_context =
        std::any_of(kinds.begin(), kinds.end(), [](const auto & types) { return has_context(types); });
    if (has_own_context) {
        common_params draft = common_base_params_to_speculative(params.common());
        made->draft_model_ = common_speculative_init_from_params(draft, model, context);
        if (made->draft_model_->context() == nullptr)
            fail("{}: {}", draft.model.path, log.reason("llama.cpp could not load it for drafting (try -vv)"));
        speculative.draft.ctx_tgt = context;
        speculative.draft.ctx_dft = made->draft_model_->context();
    }
    for (const auto & types : kinds) {
        try {
            made->add_kind(speculative, types);
        } catch (const std::exception & error) {
            fail_usage("{}: {}", options.shown_name(), log.reason(error.what()));
        }
    }
    return made;
}

void Speculation::add_kind(const common_params_speculative & params, const std::vector<SpecType> & types) {
    auto kind = std::make_unique<Kind>();
    kind->name = common_speculative_type_name_str(types);
    kind->reads_states = reads_states(types);
    kind->params = params;
    kind->params.types = types;
    kind->state.reset(common_speculative_init(kind->params, 1));
    if (!kind->state) fail("llama.cpp refuses to speculate with {}", kind->name);
    kinds_.push_back(std::move(kind));
}

bool Speculation::is_used(const Kind & kind) const {
    return !is_measured_ || !trial_.is_decided() || (trial_.kind() > 0 && kinds_[trial_.kind() - 1].get() == &kind);
}

ContextFollower * Speculation::follower() {
    const bool any = std::any_of(kinds_.begin(), kinds_.end(), [](const auto & kind) { return kind->reads_states; });
    return any ? this : nullptr;
}

void Speculation::computed(const llama_batch & batch) {
    for (const auto & kind : kinds_) {
        if (!kind->reads_states || !is_used(*kind)) continue;
        const Stopwatch reading;
        const LogCapture log;
        if (!common_speculative_process(kind->state.get(), batch))
            fail("{}: drafting failed: {}", name_, log.reason("try -vv"));
        states_ms_ += reading.ms();
    }
}

bool Speculation::go_back(size_t n_tokens) {
    llama_memory_t memory = llama_get_memory(draft_model_->context());
    if (n_tokens > 0) return llama_memory_seq_rm(memory, 0, static_cast<llama_pos>(n_tokens), -1);
    llama_memory_clear(memory, true);
    return true;
}

void Speculation::begin(const std::vector<llama_token> & held) {
    states_ms_ = 0.0;
    for (const auto & kind : kinds_) {
        kind->n_drafted = kind->n_accepted = 0;
        common_speculative_begin(kind->state.get(), 0, held);
    }
}

// The draft model computes what the model has computed since its last draft: nothing while it is not asked.
void Speculation::follow(const std::vector<llama_token> & held) {
    llama_context * context = draft_model_->context();
    const auto [differs, ignored] = std::mismatch(followed_.begin(), followed_.end(), held.begin(), held.end());
    auto n_kept = static_cast<size_t>(differs - followed_.begin());
    llama_memory_t memory = llama_get_memory(context);
    if (!llama_memory_seq_rm(memory, 0, static_cast<llama_pos>(n_kept), -1)) {
        llama_memory_clear(memory, true);
        n_kept = 0;
    }
    const size_t n_batch = llama_n_batch(context);
    for (size_t at = n_kept; at < held.size(); at += n_batch) {
        const size_t n = std::min(n_batch, held.size() - at);
        const int rc = llama_decode(
            context, llama_batch_get_one(const_cast<llama_token *>(held.data() + at), static_cast<int32_t>(n)));
        if (rc != 0) fail("{}: the draft model failed (llama_decode returned {})", name_, rc);
    }
    followed_ = held;
}

std::vector<llama_token> Speculation::draft(const std::vector<llama_token> & held, llama_token last, size_t n_most) {
    const size_t number = is_measured_ ? trial_.kind() : 1;
    std::vector<llama_token> tokens;
    n_most = std::min(n_most, n_most_);
    if (number == 0 || n_most == 0) return tokens;
    Kind & kind = *kinds_[number - 1];
    const LogCapture log;
    const bool has_model = has_context(kind.params.types);
    if (has_model && !kind.reads_states) follow(held);
    common_speculative_get_draft_params(kind.state.get(), 0) = {
        /*drafting=*/true,
        /*n_max=*/static_cast<int32_t>(n_most),
        /*pos0=*/static_cast<llama_pos>(held.size()),
        /*id_last=*/last,
        /*prompt=*/&held,
        /*result=*/&tokens,
    };
    common_speculative_draft(kind.state.get());
    if (has_model)  // its own guesses; what turned out right is computed again
        llama_memory_seq_rm(llama_get_memory(draft_model_->context()), 0, static_cast<llama_pos>(held.size()), -1);
    if (tokens.size() > n_most) tokens.resize(n_most);
    return tokens;
}

void Speculation::add(size_t n_drafted, size_t n_accepted, double ms) {
    const size_t number = is_measured_ ? trial_.kind() : 1;
    if (n_drafted > 0) {
        Kind & kind = *kinds_[number - 1];
        kind.has_drafted = true;
        // Kinds that read states learn which of a batch's were of right tokens, whoever drafted them.
        for (const auto & other : kinds_)
            if (other.get() == &kind || (other->reads_states && other->has_drafted && is_used(*other)))
                common_speculative_accept(other->state.get(), 0, static_cast<uint16_t>(n_accepted));
        kind.n_drafted += n_drafted;
        kind.n_accepted += n_accepted;
    }
    // Steps without a kind would not read states for it, once that is decided.
    const bool reads = number > 0 && kinds_[number - 1]->reads_states;
    trial_.add(n_accepted + 1, reads ? ms : ms - states_ms_, n_drafted > 0);
    states_ms_ = 0.0;
}

SpeculationReport Speculation::report() const {
    SpeculationReport report;
    report.is_measured = is_measured_;
    size_t shown = 1;
    if (is_measured_) {
        for (size_t kind = 2; kind <= kinds_.size(); ++kind)
            if (trial_.gain(kind).value_or(0.0) > trial_.gain(shown).value_or(0.0)) shown = kind;
        if (trial_.is_decided() && trial_.kind() > 0) shown = trial_.kind();
        report.is_decided = trial_.is_decided();
        report.gain = trial_.gain(shown);
        report.n_measured = trial_.n_tokens();
    }
    const Kind & kind = *kinds_[shown - 1];
    report.kind = kind.name;
    report.is_on = !report.is_decided || trial_.kind() > 0;
    report.n_drafted = kind.n_drafted;
    report.n_accepted = kind.n_accepted;
    return report;
}

}  // namespace shimmy::engine
