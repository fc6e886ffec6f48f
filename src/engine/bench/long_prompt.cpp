#include "engine/bench/long_prompt.h"

#include "base/error.h"

#include <algorithm>

namespace shimmy::engine {

namespace {

// Prose, figures, code and another language, so that it is no text of one kind. Repeated from its beginning where more
// is wanted.
constexpr const char * TEXT =
    R"(The harbour town wakes before the sun does. Fishing boats return one after another, their lamps still
burning, and the first crates of herring are weighed on the quay while gulls wait on the roofs. A woman from the
cooperative writes every weight into a ledger, as her mother did: 41 kilograms, 37, 52, then a long line of zeros for the
boat that turned back in the fog. By eight o'clock the market is full. Bread costs 2.80 this week, eggs 3.40 a dozen, and
the potatoes from the hill farms are small but good.

A lighthouse on the northern cape was built in 1871 after three ships were lost in a single winter. Its lens, which was
ground in Paris, gathers the light of a small lamp into a beam that can be seen 19 nautical miles away. The keeper used
to climb 204 steps twice a night to wind the clockwork; an electric motor has done that since 1956. The tower leans by
eleven centimetres, which surveyors measure every spring and which nobody in the town worries about.

Water expands when it freezes, because its molecules arrange themselves into an open lattice that takes more room than
the disorder of the liquid. Ice therefore floats, lakes freeze from the top, and what lives on the ground of a lake
survives the winter. The same property breaks pipes, splits rocks and lifts roads. Few other substances behave like it;
bismuth, gallium and silicon are among them.

def moving_average(values, width):
    """Means of every `width` neighbouring values; an empty list if there are fewer."""
    if width <= 0:
        raise ValueError("width must be positive")
    total = sum(values[:width])
    result = [total / width] if len(values) >= width else []
    for old, new in zip(values, values[width:]):
        total += new - old
        result.append(total / width)
    return result

The committee met on the second Tuesday of the month. It agreed to repair the bridge before the autumn rains, to ask two
companies for a price, and to leave the question of the old school until everyone had read the report. The treasurer
pointed out that 18,400 remained of the 25,000 that had been set aside, and that the roof of the library would need at
least a third of it. Nobody disagreed, although the minutes say that the discussion was lively.

Im Garten hinter dem Haus stehen drei Apfelbäume, ein Birnbaum und eine Reihe Johannisbeeren. Die Kinder ernten im Juli,
was die Vögel übrig lassen, und im September werden die Äpfel gepresst. Aus hundert Kilogramm werden etwa sechzig Liter
Saft; der Rest kommt auf den Kompost oder zu den Schafen des Nachbarn.

To tie a bowline, make a small loop in the rope, leaving enough at the end for the size of loop that you want. Pass the
end up through the loop, around behind the standing part, and back down through the small loop. Hold the end and pull the
standing part tight. The knot does not slip under load, and yet it can be untied easily afterwards, which is why sailors,
climbers and rescuers all learn it first.

)";

std::vector<int32_t> without_bos(const Model & model, std::vector<int32_t> tokens) {
    const std::optional<int32_t> bos = model.bos_token();
    if (bos && !tokens.empty() && tokens.front() == *bos) tokens.erase(tokens.begin());
    return tokens;
}

std::vector<int32_t> filler(const Model & model, size_t n_tokens) {
    const std::vector<int32_t> once = without_bos(model, model.tokenize(TEXT, /*parse_special=*/false));
    std::vector<int32_t> tokens;
    for (size_t i = 0; i < n_tokens; ++i)
        tokens.push_back(once.at(i % once.size()));
    return tokens;
}

// How many tokens of the prompt come before the user's own text.
size_t n_before_user_text(const Model & model, const std::string & rendered, const std::string & user_text) {
    const size_t at = rendered.find(user_text);
    const std::string head = at == std::string::npos ? "" : rendered.substr(0, at);
    return model.tokenize(head, /*parse_special=*/true).size();
}

}  // namespace

TokenPrompt make_prompt(const Model & model, const std::string & rendered, const std::string & user_text,
                        const PromptLength & length) {
    TokenPrompt prompt;
    std::vector<int32_t> tokens = model.tokenize(rendered, /*parse_special=*/true);
    size_t at = std::min(n_before_user_text(model, rendered, user_text), tokens.size());
    if (length.depth > 0) {  // then the text begins there
        prompt.n_before = static_cast<size_t>(length.depth);
        if (const std::optional<int32_t> bos = model.bos_token()) prompt.tokens.push_back(*bos);
        const std::vector<int32_t> before = filler(model, prompt.n_before - prompt.tokens.size());
        prompt.tokens.insert(prompt.tokens.end(), before.begin(), before.end());
        const size_t n_whole = tokens.size();
        tokens = without_bos(model, tokens);
        at -= std::min(at, n_whole - tokens.size());
    }
    if (length.n_tokens > 0) {
        const auto wanted = static_cast<size_t>(length.n_tokens);
        if (tokens.size() > wanted)
            fail_usage("--prompt-tokens {}: the prompt alone has {} tokens", length.n_tokens, tokens.size());
        const std::vector<int32_t> more = filler(model, wanted - tokens.size());
        tokens.insert(tokens.begin() + static_cast<std::ptrdiff_t>(at), more.begin(), more.end());
    }
    prompt.tokens.insert(prompt.tokens.end(), tokens.begin(), tokens.end());
    if (prompt.tokens.size() >= model.n_ctx())
        fail("a depth of {} tokens and a prompt of {} do not fit into a context of {} with the reply: take fewer{}",
             prompt.n_before, prompt.tokens.size() - prompt.n_before, model.n_ctx(), model.larger_context());
    return prompt;
}

}  // namespace shimmy::engine
