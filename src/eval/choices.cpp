#include "eval/choices.h"

#include "base/error.h"

#include <algorithm>

namespace shimmy::eval {

namespace {

using Tokens = std::vector<int32_t>;

constexpr size_t MIN_REST = 3;  // k_min_trailing_ctx of llama-perplexity

// Probes of all choices in one list: those of choice i begin at begin[i].
struct Probes {
    std::vector<engine::Probe> list;
    std::vector<size_t> begin;

    void next_choice() { begin.push_back(list.size()); }
    void add(size_t sequence, size_t position, int32_t token) { list.push_back({sequence, position, token}); }
    size_t end_of(size_t choice) const { return choice + 1 < begin.size() ? begin[choice + 1] : list.size(); }
};

size_t n_alike(const std::vector<Tokens> & sequences) {
    size_t n = sequences.front().size();
    for (const Tokens & tokens : sequences) {
        const size_t n_both = std::min(n, tokens.size());
        n = static_cast<size_t>(
            std::mismatch(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(n_both), sequences[0].begin())
                .first -
            tokens.begin());
    }
    return n;
}

// Every token from `first` on.
void add_tokens(Probes & probes, size_t sequence, const Tokens & tokens, size_t first, size_t end) {
    for (size_t i = std::max<size_t>(first, 1); i < end; ++i)
        probes.add(sequence, i - 1, tokens[i]);
}

// lm-evaluation-harness: the tokens that the continuation adds to those of the context.
Probes continuation_probes(const std::vector<Tokens> & sequences, const std::vector<size_t> & n_context) {
    Probes probes;
    for (size_t s = 0; s < sequences.size(); ++s) {
        probes.next_choice();
        const size_t n = sequences[s].size();
        add_tokens(probes, s, sequences[s], std::min(n_context[s], n - 1), n);
    }
    return probes;
}

// llama-perplexity's HellaSwag and multiple choice: the tokens behind those that all choices begin with.
Probes differing_probes(const std::vector<Tokens> & sequences) {
    Probes probes;
    const size_t n_shared = n_alike(sequences);
    for (size_t s = 0; s < sequences.size(); ++s) {
        probes.next_choice();
        const size_t n = sequences[s].size();
        add_tokens(probes, s, sequences[s], std::min(n_shared, n - 1), n);
    }
    return probes;
}

// llama-perplexity's Winogrande: the tokens behind the option but for the last, which is a full stop; from the option
// on where little follows it.
Probes winogrande_probes(const std::vector<Tokens> & sequences, const std::vector<size_t> & n_context) {
    Probes probes;
    const size_t n_shared = n_alike(sequences);
    const bool skips_option = std::all_of(sequences.begin(), sequences.end(),
                                          [&](const Tokens & tokens) { return tokens.size() - n_shared > MIN_REST; });
    for (size_t s = 0; s < sequences.size(); ++s) {
        probes.next_choice();
        const size_t n = sequences[s].size();
        const size_t first = std::min(skips_option ? n_context[s] : n_shared, n - 1);
        const size_t n_last = n - first > 1 ? 1 : 0;
        if (skips_option || s == 0) {
            add_tokens(probes, s, sequences[s], first, n - n_last);
        } else {
            // It predicts the second option from the end of the first sentence (a FIXME in its source). Scores are to
            // compare with its own, so this does the same.
            probes.add(0, sequences[0].size() - 1, sequences[s][first]);
            add_tokens(probes, s, sequences[s], first + 1, n - n_last);
        }
    }
    return probes;
}

}  // namespace

std::string too_long(const engine::Model & model, const Question & question, size_t n_tokens) {
    const size_t n_examples = question.examples.size();
    return fmt::format("has {} tokens{}, and the context holds {}: {}{}", n_tokens,
                       n_examples == 0 ? "" : fmt::format(" with its {} examples", n_examples), model.n_ctx(),
                       n_examples == 0 ? "shorten it" : "give fewer --shots", model.larger_context());
}

ChoiceScores score_choices(engine::Model & model, const Task & task, const Question & question) {
    const std::string examples = examples_text(task, question);
    std::vector<Tokens> sequences;
    std::vector<size_t> n_context;  // tokens of what stands before the continuation
    for (const Choice & choice : question.choices) {
        const std::string context = examples + choice.context;
        // llama-perplexity takes marks for special tokens in a text as text, and so does this.
        n_context.push_back(model.tokenize(context, /*parse_special=*/false).size());
        sequences.push_back(model.tokenize(context + choice.continuation, /*parse_special=*/false));
        if (sequences.back().size() > model.n_ctx())
            fail("question {}: {}", question.number, too_long(model, question, sequences.back().size()));
        if (sequences.back().size() < 2)
            fail("question {}: is one token: there is nothing to predict", question.number);
    }
    const Probes probes = task.form == Form::llama_winogrande ? winogrande_probes(sequences, n_context)
                          : is_llamas(task.form)              ? differing_probes(sequences)
                                                              : continuation_probes(sequences, n_context);
    const std::vector<double> log_p = model.log_probabilities_of(sequences, probes.list);

    ChoiceScores scores;
    for (size_t s = 0; s < sequences.size(); ++s) {
        const size_t n_tokens = probes.end_of(s) - probes.begin[s];
        double sum = 0.0;
        for (size_t i = probes.begin[s]; i < probes.end_of(s); ++i)
            sum += log_p[i];
        const size_t length = is_llamas(task.form) ? n_tokens : question.choices[s].n_chars;
        scores.log_likelihoods.push_back(sum);
        scores.normalized.push_back(sum / static_cast<double>(std::max<size_t>(length, 1)));
    }
    return scores;
}

size_t best_choice(Form form, const std::vector<double> & scores) {
    const bool last_of_equals = form == Form::llama_winogrande;
    size_t best = 0;
    for (size_t i = 1; i < scores.size(); ++i) {
        if (scores[i] > scores[best] || (last_of_equals && scores[i] == scores[best])) best = i;
    }
    return best;
}

}  // namespace shimmy::eval
