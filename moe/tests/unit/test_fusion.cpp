// The expert FFN in a graph: what is computed together, what must not be, and that both give what ggml's CPU backend
// does.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "graph/match.h"
#include "harness.h"

using namespace moe_test;

namespace {

size_t us(int64_t v) {
    return static_cast<size_t>(v);
}

// How much of the FFN is one pattern.
enum Fused { NONE, GATED, WITH_DOWN, WITH_SUM };

// An FFN piece by piece; `change` may replace a piece, or have it read elsewhere, as soon as it is there.
struct Ffn {
    int64_t embd = 32, ff = 64, experts = 6, used = 3, tokens = 5;
    bool bias = false, weighted = true, up_first = false, dense = false;
    enum { TWO_PRODUCTS, HALVES_AS_VIEWS, HALVES_OF_ROWS } gate_up = TWO_PRODUCTS;
    bool scaled = false;  // every product by a number for each expert
    enum { SWIGLU, LIMITED, SITU, SITU_ONE_BOUND, RELU, RELU_SQUARED, SILU, GELU } act = SWIGLU;
    std::function<void(Ffn &, Graph &, const char * piece, ggml_tensor *& t)> change = [](Ffn &, Graph &, const char *,
                                                                                          ggml_tensor *&) {};

    ggml_tensor *x = nullptr, *ids = nullptr, *gate = nullptr, *up = nullptr, *glu = nullptr, *down = nullptr,
                *experts_out = nullptr;
    std::vector<ggml_tensor *> views;
    std::vector<ggml_tensor *> read;  // more outputs of the graph

    ggml_tensor * build(Graph & g);
    ggml_tensor * other_ids(Graph & g) const {
        return g.ids({used, tokens}, std::vector<int32_t>(us(used * tokens), 1));
    }
    ggml_tensor * weights(Graph & g, int64_t k, int64_t n, uint32_t seed) const {
        const std::vector<int64_t> ne = dense ? std::vector<int64_t>{k, n} : std::vector<int64_t>{k, n, experts};
        const auto values = normals(us(k * n * (dense ? 1 : experts)), seed, 0.2f);
        return g.weight(GGML_TYPE_F32, ne, quantize(GGML_TYPE_F32, values, k));
    }
    ggml_tensor * product(Graph & g, ggml_tensor * w, ggml_tensor * in) const {
        return dense ? ggml_mul_mat(g.ctx(), w, in) : ggml_mul_mat_id(g.ctx(), w, in, ids);
    }

private:
    ggml_tensor * piece(Graph & g, const char * name, ggml_tensor * t) {
        change(*this, g, name, t);
        g.expand(t);
        return t;
    }
    ggml_tensor * with_bias(Graph & g, const char * name, ggml_tensor * mm, int64_t n, uint32_t seed) {
        if (!bias) return mm;
        ggml_tensor * b =
            g.weight(GGML_TYPE_F32, {n, experts}, quantize(GGML_TYPE_F32, normals(us(n * experts), seed), n));
        return piece(g, name, ggml_add_id(g.ctx(), mm, b, ids));
    }
    // As llama.cpp does it: the scales of all experts for every token, then those of the experts in use.
    ggml_tensor * with_scale(Graph & g, const std::string & name, ggml_tensor * mm, uint32_t seed) {
        if (!scaled) return mm;
        ggml_tensor * s =
            g.weight(GGML_TYPE_F32, {experts}, quantize(GGML_TYPE_F32, normals(us(experts), seed), experts));
        s = ggml_reshape_3d(g.ctx(), s, 1, experts, 1);
        s = piece(g, (name + " scales").c_str(), ggml_repeat_4d(g.ctx(), s, 1, experts, tokens, 1));
        s = piece(g, (name + " scales in use").c_str(), ggml_get_rows(g.ctx(), s, ids));
        return piece(g, (name + " scaled").c_str(), ggml_mul(g.ctx(), mm, s));
    }
    ggml_tensor * first_product(Graph & g, const char * name, int64_t n, uint32_t seed) {
        ggml_tensor * mm = piece(g, name, product(g, weights(g, embd, n, seed), x));
        return with_bias(g, (std::string(name) + " bias").c_str(), with_scale(g, name, mm, seed + 20), n, seed + 1);
    }
    ggml_tensor * half(Graph & g, const char * name, ggml_tensor * both, int64_t n) {
        return piece(g, name,
                     ggml_view_3d(g.ctx(), both, ff, both->ne[1], both->ne[2], both->nb[1], both->nb[2],
                                  us(n * ff) * sizeof(float)));
    }
    ggml_tensor * activation(Graph & g);
    ggml_tensor * limited(Graph & g);
    ggml_tensor * bounded(Graph & g, const std::string & name, ggml_tensor * t, float bound);
    ggml_tensor * situ(Graph & g);
    ggml_tensor * ungated(Graph & g);
    ggml_tensor * sum(Graph & g, ggml_tensor * y);
};

// Gate first, because that is how llama.cpp's graph comes out.
ggml_tensor * Ffn::limited(Graph & g) {
    gate = first_product(g, "gate", ff, 3);
    ggml_tensor * top = piece(g, "silu", ggml_silu(g.ctx(), gate));
    top = piece(g, "silu below", ggml_clamp(g.ctx(), top, -INFINITY, 0.4f));
    up = first_product(g, "up", ff, 5);
    up = piece(g, "up within", ggml_clamp(g.ctx(), up, -0.4f, 0.4f));
    return ggml_mul(g.ctx(), top, up);
}
ggml_tensor * Ffn::bounded(Graph & g, const std::string & name, ggml_tensor * t, float bound) {
    t = piece(g, (name + " over the bound").c_str(), ggml_scale(g.ctx(), t, 1.0f / bound));
    t = piece(g, (name + " tanh").c_str(), ggml_tanh(g.ctx(), t));
    return piece(g, (name + " within").c_str(), ggml_scale(g.ctx(), t, bound));
}
ggml_tensor * Ffn::situ(Graph & g) {
    gate = first_product(g, "gate", ff, 3);
    ggml_tensor * top = bounded(g, "gate", gate, 0.7f);
    top = piece(g, "act", ggml_mul(g.ctx(), top, piece(g, "sigmoid", ggml_sigmoid(g.ctx(), gate))));
    up = first_product(g, "up", ff, 5);
    return ggml_mul(g.ctx(), top, act == SITU ? bounded(g, "up", up, 1.3f) : up);
}
ggml_tensor * Ffn::ungated(Graph & g) {
    gate = first_product(g, "gate", ff, 3);
    if (act == SILU) return ggml_silu(g.ctx(), gate);
    if (act == GELU) return ggml_gelu(g.ctx(), gate);
    if (act == RELU) return ggml_relu(g.ctx(), gate);
    return ggml_sqr(g.ctx(), piece(g, "relu", ggml_relu(g.ctx(), gate)));
}
ggml_tensor * Ffn::activation(Graph & g) {
    if (act == LIMITED) return limited(g);
    if (act == SITU || act == SITU_ONE_BOUND) return situ(g);
    if (act != SWIGLU) return ungated(g);
    if (gate_up == TWO_PRODUCTS) {
        gate = first_product(g, "gate", ff, 3);
        up = first_product(g, "up", ff, 5);
        if (up_first) std::swap(gate, up);
        return ggml_swiglu_split(g.ctx(), gate, up);
    }
    ggml_tensor * both = first_product(g, "gate up", 2 * ff, 3);
    if (gate_up == HALVES_OF_ROWS) {
        return up_first ? ggml_swiglu_swapped(g.ctx(), both) : ggml_swiglu(g.ctx(), both);
    }
    gate = half(g, "gate", both, up_first);
    up = half(g, "up", both, !up_first);
    return ggml_swiglu_split(g.ctx(), gate, up);
}

ggml_tensor * Ffn::sum(Graph & g, ggml_tensor * y) {
    for (int64_t u = 0; u < used; ++u) {
        views.push_back(piece(g, ("view " + std::to_string(u)).c_str(),
                              ggml_view_2d(g.ctx(), y, embd, tokens, y->nb[2], us(u) * y->nb[1])));
    }
    ggml_tensor * acc = views[0];
    for (int64_t u = 1; u < used; ++u) {
        acc = piece(g, ("sum " + std::to_string(u)).c_str(), ggml_add(g.ctx(), acc, views[us(u)]));
    }
    return acc;
}

ggml_tensor * Ffn::build(Graph & g) {
    const auto first = normals(us(embd * tokens), 1);
    x = g.input(dense ? std::vector<int64_t>{embd, tokens} : std::vector<int64_t>{embd, 1, tokens}, first);
    std::vector<int32_t> route;
    for (int64_t i = 0; i < used * tokens; ++i) {
        route.push_back(static_cast<int32_t>((i * 5 + i / 4) % experts));
    }
    ids = g.ids({used, tokens}, route);
    ggml_tensor * slot_weights = g.input({1, used, tokens}, normals(us(used * tokens), 2));
    glu = piece(g, "glu", activation(g));
    down = piece(g, "down", product(g, weights(g, ff, embd, 7), glu));
    down = with_bias(g, "down bias", with_scale(g, "down", down, 27), embd, 8);
    if (dense) return down;
    experts_out = weighted ? piece(g, "weighted", ggml_mul(g.ctx(), down, slot_weights)) : down;
    return sum(g, experts_out);
}

Fused found(ggml_cgraph * graph) {
    const moe::Nodes n(graph);
    for (int i = n.next(-1); i < n.count(); i = n.next(i)) {
        moe::Ffn f;
        if (moe::match_ffn(n, i, f)) return f.sum ? WITH_SUM : f.down.mm != nullptr ? WITH_DOWN : GATED;
    }
    return NONE;
}

// What the graph computes, and what else is read of it; how much of it is fused must be as expected.
std::vector<float> values(const Ffn & shape, bool on_plugin, Fused expected) {
    Ffn f = shape;
    Graph g(on_plugin);
    ggml_tensor * out = f.build(g);
    for (ggml_tensor * t : f.read) {
        g.expand(t);
    }
    std::vector<float> all = g.compute(out);
    if (on_plugin) {
        EXPECT_EQ(found(g.graph()), expected);
    }
    for (ggml_tensor * t : f.read) {
        const auto more = g.read(t);
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

void expect_fused(const Ffn & shape, Fused expected) {
    const auto moe = values(shape, true, expected), cpu = values(shape, false, expected);
    EXPECT_LT(nmse(moe, std::vector<double>(cpu.begin(), cpu.end())), 1e-9);
}

// As soon as `piece` is there, another operation reads it.
Ffn read_too(Ffn f, const std::string & piece) {
    f.change = [piece](Ffn & self, Graph & g, const char * name, ggml_tensor *& t) {
        if (piece == name) self.read.push_back(ggml_add(g.ctx(), t, t));
    };
    return f;
}
Ffn marked_as_output(Ffn f, const std::string & piece) {
    f.change = [piece](Ffn & self, Graph &, const char * name, ggml_tensor *& t) {
        if (piece == name) {
            ggml_set_output(t);
            self.read.push_back(t);
        }
    };
    return f;
}
// An operation of no concern comes before `piece`.
Ffn interrupted(Ffn f, const std::string & piece) {
    f.change = [piece](Ffn & self, Graph & g, const char * name, ggml_tensor *&) {
        if (piece != name) return;
        self.read.push_back(ggml_add(g.ctx(), self.x, self.x));
        g.expand(self.read.back());
    };
    return f;
}
Ffn replaced(Ffn f, const std::string & piece, std::function<ggml_tensor *(Ffn &, Graph &, ggml_tensor *)> with) {
    f.change = [=](Ffn & self, Graph & g, const char * name, ggml_tensor *& t) {
        if (piece == name) t = with(self, g, t);
    };
    return f;
}

Ffn with_bias() {
    Ffn f;
    f.bias = true;
    return f;
}
Ffn in_halves(bool as_views) {
    Ffn f;
    f.gate_up = as_views ? Ffn::HALVES_AS_VIEWS : Ffn::HALVES_OF_ROWS;
    return f;
}
Ffn with_scale() {
    Ffn f;
    f.scaled = true;
    return f;
}
template <class Act>
Ffn activated_by(Act act) {
    Ffn f;
    f.act = act;
    return f;
}
Ffn unweighted() {
    Ffn f;
    f.weighted = false;
    return f;
}

}  // namespace

TEST(Fusion, WholeFfn) {
    for (const bool bias : {false, true}) {
        for (const bool weighted : {false, true}) {
            for (const bool up_first : {false, true}) {
                for (int64_t used : {2, 3, 8}) {
                    for (int64_t tokens : {1, 5}) {
                        Ffn f;
                        f.experts = 12;
                        f.bias = bias, f.weighted = weighted, f.up_first = up_first, f.used = used, f.tokens = tokens;
                        SCOPED_TRACE(testing::Message()
                                     << bias << weighted << up_first << " used " << used << " tokens " << tokens);
                        expect_fused(f, WITH_SUM);
                    }
                }
            }
        }
    }
}
TEST(Fusion, OneExpertHasNoSum) {
    Ffn f;
    f.used = 1;
    expect_fused(f, WITH_DOWN);
}
TEST(Fusion, SumsOverMostSlotsAndMore) {
    Ffn f;
    f.experts = 130, f.embd = 4, f.ff = 8, f.tokens = 2;
    f.used = 127;
    expect_fused(f, WITH_SUM);
    f.used = 128;
    expect_fused(f, WITH_DOWN);
}
TEST(Fusion, DenseFfn) {
    Ffn f;
    f.dense = true;
    expect_fused(f, WITH_DOWN);
    f.up_first = true;
    expect_fused(f, WITH_DOWN);
}
// Gate and up in one tensor, as one product.
TEST(Fusion, HalvesOfOneProduct) {
    for (const bool as_views : {true, false}) {
        for (const bool bias : {false, true}) {
            for (const bool up_first : {false, true}) {
                for (int64_t tokens : {1, 5, 70}) {
                    SCOPED_TRACE(testing::Message() << as_views << bias << up_first << " tokens " << tokens);
                    Ffn f = in_halves(as_views);
                    f.bias = bias, f.up_first = up_first, f.tokens = tokens;
                    expect_fused(f, WITH_SUM);
                    f.scaled = true;
                    expect_fused(f, WITH_SUM);
                }
            }
        }
        Ffn f = in_halves(as_views);
        f.dense = true;
        expect_fused(f, WITH_DOWN);
        f.ff = 40;  // a tile has rows of both halves
        expect_fused(f, WITH_DOWN);
    }
}
TEST(Fusion, HalvesThatOthersReadAreWritten) {
    for (const char * piece : {"gate up", "gate", "up"}) {
        SCOPED_TRACE(piece);
        expect_fused(read_too(in_halves(true), piece), NONE);
        expect_fused(marked_as_output(in_halves(true), piece), NONE);
    }
    expect_fused(read_too(in_halves(false), "gate up"), NONE);
    expect_fused(read_too(in_halves(true), "glu"), WITH_SUM);
    expect_fused(interrupted(in_halves(true), "glu"), NONE);
    expect_fused(interrupted(in_halves(false), "glu"), NONE);
}
TEST(Fusion, HalvesInTheirPlaces) {
    const auto found_with = [](const std::function<void(ggml_tensor *)> & change) {
        Ffn f = in_halves(true);
        Graph g(true);
        g.compute(f.build(g));
        EXPECT_EQ(found(g.graph()), WITH_SUM);
        change(f.up);
        return found(g.graph());
    };
    EXPECT_EQ(found_with([](ggml_tensor * v) { v->op = GGML_OP_RESHAPE; }), NONE);
    EXPECT_EQ(found_with([](ggml_tensor * v) { v->data = static_cast<char *>(v->data) - 4; }), NONE);
    EXPECT_EQ(found_with([](ggml_tensor * v) { v->data = static_cast<char *>(v->data) - 64 * 4; }), NONE)
        << "gate twice";
    for (int dim = 0; dim < 4; ++dim) {
        EXPECT_EQ(found_with([dim](ggml_tensor * v) { v->ne[dim] += 1; }), NONE) << dim;
        EXPECT_EQ(found_with([dim](ggml_tensor * v) { v->nb[dim] *= 2; }), NONE) << dim;
    }
}
TEST(Fusion, AScaleForEachExpert) {
    for (const bool bias : {false, true}) {
        for (int64_t tokens : {1, 5, 70}) {
            SCOPED_TRACE(testing::Message() << bias << " tokens " << tokens);
            Ffn f = with_scale();
            f.bias = bias, f.tokens = tokens;
            expect_fused(f, WITH_SUM);
        }
    }
}
TEST(Fusion, ScalesThatOthersReadAreWritten) {
    for (const char * piece : {"gate", "gate scales", "gate scales in use", "gate scaled", "up", "up scaled"}) {
        SCOPED_TRACE(piece);
        expect_fused(read_too(with_scale(), piece), NONE);
    }
    for (const char * piece : {"down", "down scales", "down scales in use", "down scaled"}) {
        SCOPED_TRACE(piece);
        expect_fused(read_too(with_scale(), piece), WITH_DOWN);
    }
    expect_fused(interrupted(with_scale(), "gate scales in use"), NONE);
    expect_fused(interrupted(with_scale(), "gate scaled"), NONE);
}
TEST(Fusion, ScalesOfTheExpertsInUse) {
    const auto rows = [](bool these_ids) {
        return [these_ids](Ffn & f, Graph & g, ggml_tensor * t) {
            return ggml_get_rows(g.ctx(), t->src[0], these_ids ? f.ids : f.other_ids(g));
        };
    };
    expect_fused(replaced(with_scale(), "gate scales in use", rows(true)), WITH_SUM);
    expect_fused(replaced(with_scale(), "gate scales in use", rows(false)), NONE);
    // scales that are no model's weights, and scales of something else
    expect_fused(replaced(with_scale(), "gate scales",
                          [](Ffn & f, Graph & g, ggml_tensor *) {
                              ggml_tensor * s = g.input({f.experts}, normals(us(f.experts), 41));
                              s = ggml_reshape_3d(g.ctx(), s, 1, f.experts, 1);
                              return ggml_repeat_4d(g.ctx(), s, 1, f.experts, f.tokens, 1);
                          }),
                 NONE);
    expect_fused(
        replaced(with_scale(), "gate scaled",
                 [](Ffn & f, Graph & g, ggml_tensor * t) {
                     f.read.push_back(t->src[0]);
                     const int64_t n = f.ff * f.used * f.tokens;
                     return ggml_mul(g.ctx(), g.input({f.ff, f.used, f.tokens}, normals(us(n), 42)), t->src[1]);
                 }),
        NONE);
}

TEST(Fusion, ActivationsWithoutAGate) {
    for (const auto act : {Ffn::RELU, Ffn::RELU_SQUARED, Ffn::SILU}) {
        for (const bool bias : {false, true}) {
            for (int64_t tokens : {1, 5, 70}) {
                SCOPED_TRACE(testing::Message() << act << bias << " tokens " << tokens);
                Ffn f = activated_by(act);
                f.bias = bias, f.tokens = tokens;
                expect_fused(f, WITH_SUM);
                f.scaled = true;
                expect_fused(f, WITH_SUM);
            }
        }
        SCOPED_TRACE(act);
        expect_fused(read_too(activated_by(act), "gate"), NONE);
        expect_fused(read_too(activated_by(act), "glu"), WITH_SUM);
        expect_fused(interrupted(activated_by(act), "glu"), act == Ffn::RELU_SQUARED ? GATED : NONE);
    }
    // ggml looks GELU up in half precision.
    const Ffn gelu = activated_by(Ffn::GELU);
    const auto moe = values(gelu, true, WITH_SUM), cpu = values(gelu, false, WITH_SUM);
    EXPECT_LT(nmse(moe, std::vector<double>(cpu.begin(), cpu.end())), 1e-6);
    // What is read before it is squared is written, as the result of a pattern of its own.
    expect_fused(read_too(activated_by(Ffn::RELU_SQUARED), "relu"), GATED);
}
TEST(Fusion, LimitedActivation) {
    for (const bool bias : {false, true}) {
        for (int64_t tokens : {1, 5, 70}) {
            SCOPED_TRACE(testing::Message() << bias << " tokens " << tokens);
            Ffn f = activated_by(Ffn::LIMITED);
            f.bias = bias, f.tokens = tokens;
            expect_fused(f, WITH_SUM);
            f.scaled = true;
            expect_fused(f, WITH_SUM);
        }
    }
    const auto clamped = [](float min, float max) {
        return [=](Ffn &, Graph & g, ggml_tensor * t) { return ggml_clamp(g.ctx(), t->src[0], min, max); };
    };
    const Ffn f = activated_by(Ffn::LIMITED);
    // the gate's activation is a pattern of its own then: the down product is no part of it
    expect_fused(replaced(f, "up within", clamped(-0.4f, 0.5f)), GATED);
    expect_fused(replaced(f, "up within", clamped(-0.5f, 0.4f)), GATED);
    expect_fused(replaced(f, "silu below", clamped(-1.0f, 0.4f)), GATED);
    expect_fused(replaced(f, "silu below", clamped(-INFINITY, 0.5f)), GATED);
    expect_fused(read_too(f, "up"), GATED);
    expect_fused(read_too(f, "gate"), NONE);
    expect_fused(interrupted(f, "up"), GATED);
}

// Kimi-K3's.
TEST(Fusion, ActivationWithinBounds) {
    for (const auto act : {Ffn::SITU, Ffn::SITU_ONE_BOUND}) {
        for (int64_t tokens : {1, 5, 70}) {
            SCOPED_TRACE(testing::Message() << act << " tokens " << tokens);
            Ffn f = activated_by(act);
            f.tokens = tokens;
            expect_fused(f, WITH_SUM);
            f.bias = f.scaled = true;
            expect_fused(f, WITH_SUM);
        }
        for (const char * piece : {"gate", "gate over the bound", "gate tanh", "gate within", "sigmoid", "act", "up"}) {
            SCOPED_TRACE(piece);
            expect_fused(read_too(activated_by(act), piece), NONE);
            expect_fused(interrupted(activated_by(act), piece == std::string("gate") ? "act" : piece), NONE);
        }
        expect_fused(read_too(activated_by(act), "glu"), WITH_SUM);
    }
    const Ffn f = activated_by(Ffn::SITU);
    for (const char * piece : {"up over the bound", "up tanh", "up within"}) {
        expect_fused(read_too(f, piece), NONE);
    }
    const auto scaled = [](float by, float plus) {
        return [=](Ffn &, Graph & g, ggml_tensor * t) { return ggml_scale_bias(g.ctx(), t->src[0], by, plus); };
    };
    for (const std::string of : {"gate", "up"}) {
        SCOPED_TRACE(of);
        expect_fused(replaced(f, of + " within", scaled(2.0f, 0.0f)), NONE);
        expect_fused(replaced(f, of + " over the bound", scaled(0.5f, 0.0f)), NONE);
        expect_fused(replaced(f, of + " over the bound", scaled(of == "gate" ? 1.0f / 0.7f : 1.0f / 1.3f, 0.1f)), NONE);
        expect_fused(replaced(f, of + " within", scaled(of == "gate" ? 0.7f : 1.3f, 0.1f)), NONE);
        expect_fused(replaced(f, of + " tanh",
                              [](Ffn &, Graph & g, ggml_tensor * t) { return ggml_sigmoid(g.ctx(), t->src[0]); }),
                     NONE);
    }
    expect_fused(
        replaced(f, "sigmoid", [](Ffn &, Graph & g, ggml_tensor * t) { return ggml_tanh(g.ctx(), t->src[0]); }), NONE);
    expect_fused(
        replaced(f, "act", [](Ffn &, Graph & g, ggml_tensor * t) { return ggml_mul(g.ctx(), t->src[1], t->src[1]); }),
        NONE);
}

TEST(Fusion, WhatOthersReadIsWritten) {
    expect_fused(read_too({}, "gate"), NONE);
    expect_fused(read_too({}, "up"), NONE);
    expect_fused(read_too({}, "glu"), WITH_SUM);  // always written
    for (const char * piece : {"down", "weighted", "view 0", "view 1", "view 2", "sum 1"}) {
        SCOPED_TRACE(piece);
        expect_fused(read_too({}, piece), WITH_DOWN);
        if (std::string(piece) != "weighted") expect_fused(read_too(unweighted(), piece), WITH_DOWN);
    }
    expect_fused(read_too({}, "sum 2"), WITH_SUM);
}
TEST(Fusion, ProductsWhoseBiasedResultIsNotAllThatIsRead) {
    for (const char * piece : {"gate", "up", "gate bias", "up bias"}) {
        SCOPED_TRACE(piece);
        expect_fused(read_too(with_bias(), piece), NONE);
    }
    expect_fused(read_too(with_bias(), "down"), WITH_DOWN);
    expect_fused(read_too(with_bias(), "down bias"), WITH_DOWN);
}
TEST(Fusion, OutputsAreWritten) {
    for (const char * piece : {"gate", "up"}) {
        expect_fused(marked_as_output({}, piece), NONE);
    }
    for (const char * piece : {"gate", "up", "gate bias"}) {
        expect_fused(marked_as_output(with_bias(), piece), NONE);
    }
    expect_fused(marked_as_output({}, "glu"), WITH_SUM);
    for (const char * piece : {"down", "weighted", "view 1", "sum 1"}) {
        expect_fused(marked_as_output({}, piece), WITH_DOWN);
    }
    expect_fused(marked_as_output({}, "sum 2"), WITH_SUM);
}
TEST(Fusion, NothingComesBetween) {
    for (const char * piece : {"up", "glu"}) {
        expect_fused(interrupted({}, piece), NONE);
    }
    expect_fused(interrupted({}, "down"), GATED);
    for (const char * piece : {"weighted", "view 0", "sum 1", "sum 2"}) {
        expect_fused(interrupted({}, piece), WITH_DOWN);
    }
    expect_fused(interrupted(with_bias(), "gate bias"), NONE);
    expect_fused(interrupted(with_bias(), "down bias"), WITH_DOWN);
}
TEST(Fusion, OneInputForGateAndUp) {
    expect_fused(replaced({}, "up",
                          [](Ffn & f, Graph & g, ggml_tensor * t) {
                              return ggml_mul_mat_id(g.ctx(), t->src[0],
                                                     g.input({f.embd, 1, f.tokens}, normals(us(f.embd * f.tokens), 20)),
                                                     f.ids);
                          }),
                 NONE);
    expect_fused(replaced({}, "up",
                          [](Ffn & f, Graph & g, ggml_tensor * t) {
                              return ggml_mul_mat_id(g.ctx(), t->src[0], f.x, f.other_ids(g));
                          }),
                 NONE);
}
TEST(Fusion, ActivationOfBothProducts) {
    const auto other = [](Ffn & f, Graph & g) {
        return g.input({f.ff, f.used, f.tokens}, normals(us(f.ff * f.used * f.tokens), 21));
    };
    expect_fused(
        replaced({}, "glu",
                 [&](Ffn & f, Graph & g, ggml_tensor *) { return ggml_swiglu_split(g.ctx(), f.gate, other(f, g)); }),
        NONE);
    expect_fused(
        replaced({}, "glu",
                 [&](Ffn & f, Graph & g, ggml_tensor *) { return ggml_swiglu_split(g.ctx(), other(f, g), f.up); }),
        NONE);
    expect_fused(
        replaced({}, "glu", [&](Ffn & f, Graph & g, ggml_tensor *) { return ggml_swiglu_split(g.ctx(), f.up, f.up); }),
        NONE);
    expect_fused(
        replaced({}, "glu", [&](Ffn & f, Graph & g, ggml_tensor *) { return ggml_mul(g.ctx(), f.gate, f.up); }), NONE);
    // one product of twice the rows: the halves of its rows
    Ffn halves;
    halves.change = [](Ffn & f, Graph & g, const char * name, ggml_tensor *& t) {
        if (std::string(name) == "gate") t = f.product(g, f.weights(g, f.embd, 2 * f.ff, 22), f.x);
        if (std::string(name) == "up") t = f.product(g, f.weights(g, f.embd, 2 * f.ff, 23), f.x);
        if (std::string(name) == "glu") t = ggml_swiglu(g.ctx(), f.gate);
    };
    expect_fused(halves, NONE);
}
TEST(Fusion, DownReadsTheActivationWithTheSameIndices) {
    expect_fused(replaced({}, "down",
                          [](Ffn & f, Graph & g, ggml_tensor * t) {
                              return ggml_mul_mat_id(g.ctx(), t->src[0], f.glu, f.other_ids(g));
                          }),
                 GATED);
    expect_fused(replaced({}, "down",
                          [](Ffn & f, Graph & g, ggml_tensor * t) {
                              return ggml_mul_mat_id(
                                  g.ctx(), t->src[0],
                                  g.input({f.ff, f.used, f.tokens}, normals(us(f.ff * f.used * f.tokens), 24)), f.ids);
                          }),
                 GATED);
}
// A fused region reads weights at any time; what is not a model's weight may be overwritten meanwhile.
TEST(Fusion, WeightsOfModelsOnly) {
    const auto as_input = [](Ffn &, Graph & g, ggml_tensor * t) {
        ggml_tensor * w = t->src[0];
        ggml_tensor * in = g.input({w->ne[0], w->ne[1], w->ne[2]}, normals(us(ggml_nelements(w)), 25, 0.2f));
        return ggml_mul_mat_id(g.ctx(), in, t->src[1], t->src[2]);
    };
    expect_fused(replaced({}, "gate", as_input), NONE);
    expect_fused(replaced({}, "up", as_input), NONE);
    expect_fused(replaced({}, "down", as_input), GATED);
    expect_fused(replaced(with_bias(), "gate", as_input), NONE);
    expect_fused(replaced(with_bias(), "gate bias",
                          [](Ffn & f, Graph & g, ggml_tensor * t) {
                              return ggml_add_id(g.ctx(), t->src[0],
                                                 g.input({f.ff, f.experts}, normals(us(f.ff * f.experts), 26)), f.ids);
                          }),
                 NONE);
}
TEST(Fusion, BiasOfThisProductWithItsIndices) {
    expect_fused(replaced(with_bias(), "down bias",
                          [](Ffn & f, Graph & g, ggml_tensor * t) {
                              return ggml_add_id(g.ctx(), t->src[0], t->src[1], f.other_ids(g));
                          }),
                 WITH_DOWN);
    // The bias is added to something else, so the product stands alone.
    Ffn f = replaced(with_bias(), "down bias", [](Ffn & self, Graph & g, ggml_tensor * t) {
        self.read.push_back(t->src[0]);
        return ggml_add_id(
            g.ctx(), g.input({self.embd, self.used, self.tokens}, normals(us(self.embd * self.used * self.tokens), 27)),
            t->src[1], self.ids);
    });
    expect_fused(f, WITH_DOWN);
}
TEST(Fusion, OneWeightForEverySlot) {
    const auto weights = [](std::vector<int64_t> ne) {
        return [ne](Ffn & f, Graph & g, ggml_tensor *) {
            int64_t n = 1;
            for (const int64_t d : ne) {
                n *= d;
            }
            return ggml_mul(g.ctx(), f.down, g.input(ne, normals(us(n), 28)));
        };
    };
    expect_fused(replaced({}, "weighted", weights({32, 3, 5})), WITH_DOWN);
    expect_fused(replaced({}, "weighted", weights({1, 1, 5})), WITH_DOWN);
    expect_fused(replaced({}, "weighted", weights({1, 3, 1})), WITH_DOWN);
    expect_fused(
        replaced(
            {}, "weighted",
            [](Ffn & f, Graph & g, ggml_tensor *) {
                ggml_tensor * other = g.input({f.embd, f.used, f.tokens}, normals(us(f.embd * f.used * f.tokens), 29));
                f.read.push_back(f.down);
                return ggml_mul(g.ctx(), other, g.input({1, f.used, f.tokens}, normals(us(f.used * f.tokens), 30)));
            }),
        WITH_DOWN);
    expect_fused(replaced({}, "weighted",
                          [](Ffn & f, Graph & g, ggml_tensor * t) { return ggml_add(g.ctx(), f.down, t->src[1]); }),
                 WITH_DOWN);
}
// Routing weights as llama.cpp has them: a part of the scores of all experts, with gaps.
TEST(Fusion, WeightsWithGaps) {
    expect_fused(
        replaced({}, "weighted",
                 [](Ffn & f, Graph & g, ggml_tensor *) {
                     ggml_tensor * wide = g.input({1, f.used + 2, f.tokens}, normals(us((f.used + 2) * f.tokens), 31));
                     return ggml_mul(
                         g.ctx(), f.down,
                         ggml_view_3d(g.ctx(), wide, 1, f.used, f.tokens, wide->nb[1], wide->nb[2], wide->nb[1]));
                 }),
        WITH_SUM);
}
TEST(Fusion, SumOfAllSlotsInOrder) {
    expect_fused(replaced({}, "sum 1",
                          [](Ffn & f, Graph & g, ggml_tensor *) { return ggml_add(g.ctx(), f.views[1], f.views[0]); }),
                 WITH_DOWN);
    expect_fused(replaced({}, "sum 1",
                          [](Ffn & f, Graph & g, ggml_tensor *) { return ggml_add(g.ctx(), f.views[0], f.views[2]); }),
                 WITH_DOWN);
    expect_fused(replaced({}, "sum 1",
                          [](Ffn & f, Graph & g, ggml_tensor *) { return ggml_mul(g.ctx(), f.views[0], f.views[1]); }),
                 WITH_DOWN);
    expect_fused(
        replaced({}, "sum 1",
                 [](Ffn & f, Graph & g, ggml_tensor *) { return ggml_add_inplace(g.ctx(), f.views[0], f.views[1]); }),
        WITH_DOWN);
    expect_fused(replaced({}, "sum 2",
                          [](Ffn & f, Graph & g, ggml_tensor * t) { return ggml_add(g.ctx(), t->src[0], f.views[1]); }),
                 WITH_DOWN);
    expect_fused(replaced({}, "sum 2",
                          [](Ffn & f, Graph & g, ggml_tensor * t) { return ggml_add(g.ctx(), f.views[2], t->src[0]); }),
                 WITH_DOWN);
    expect_fused(replaced({}, "sum 2",
                          [](Ffn & f, Graph &, ggml_tensor * t) {
                              f.read.push_back(f.views[2]);
                              return t->src[0];
                          }),
                 WITH_DOWN);
}
// Views of slots, each wrong in one way.
TEST(Fusion, SlotsWholeAndInPlace) {
    const auto found_with = [](const std::function<void(ggml_tensor *)> & change) {
        Ffn f;
        Graph g(true);
        ggml_tensor * out = f.build(g);
        g.compute(out);
        EXPECT_EQ(found(g.graph()), WITH_SUM);
        change(f.views[1]);
        return found(g.graph());
    };
    EXPECT_EQ(found_with([](ggml_tensor * v) { v->op = GGML_OP_RESHAPE; }), WITH_DOWN);
    EXPECT_EQ(found_with([](ggml_tensor * v) { v->src[0] = v->src[0]->src[0]; }), WITH_DOWN);
    EXPECT_EQ(found_with([](ggml_tensor * v) { v->data = static_cast<char *>(v->data) + 4; }), WITH_DOWN);
    for (int dim = 0; dim < 4; ++dim) {
        EXPECT_EQ(found_with([dim](ggml_tensor * v) { v->ne[dim] += 1; }), WITH_DOWN) << dim;
    }
    for (int dim = 0; dim < 2; ++dim) {
        EXPECT_EQ(found_with([dim](ggml_tensor * v) { v->nb[dim] *= 2; }), WITH_DOWN) << dim;
    }
}
TEST(Fusion, OtherOperationsAreNoProducts) {
    Graph g(true);
    ggml_tensor * x = g.input({8, 4}, normals(32, 1));
    g.compute(ggml_add(g.ctx(), x, x));
    moe::Product p;
    const moe::Nodes n(g.graph());
    EXPECT_FALSE(moe::match_product(n, 0, p));
    EXPECT_FALSE(moe::match_product(n, n.count(), p));
    EXPECT_FALSE(moe::match_product(n, -1, p));
}
TEST(Fusion, NodesWithoutWorkAreSkipped) {
    Graph g(true);
    ggml_context * c = g.ctx();
    ggml_tensor * x = g.input({8, 4}, normals(32, 1));
    ggml_tensor * a = ggml_add(c, x, x);
    ggml_tensor * t =
        ggml_transpose(c, ggml_permute(c, ggml_view_2d(c, ggml_reshape_2d(c, a, 4, 8), 4, 8, 16, 0), 1, 0, 2, 3));
    ggml_tensor * nothing = ggml_add(c, ggml_view_2d(c, a, 0, 4, 32, 0), ggml_view_2d(c, x, 0, 4, 32, 0));
    ggml_tensor * left_out = ggml_mul(c, x, x);
    for (ggml_tensor * node : {a, t, nothing, left_out}) {
        g.expand(node);
    }
    left_out->flags &= ~GGML_TENSOR_FLAG_COMPUTE;
    ggml_tensor * last = ggml_add(c, a, x);
    g.compute(last);
    left_out->flags &= ~GGML_TENSOR_FLAG_COMPUTE;
    const moe::Nodes n(g.graph());
    const int first = n.next(-1);
    EXPECT_EQ(n.at(first), a);
    EXPECT_EQ(n.at(n.next(first)), last);
    EXPECT_EQ(n.next(n.next(first)), n.count());
    EXPECT_EQ(n.next(n.count()), n.count());
    EXPECT_EQ(n.at(n.count()), nullptr);
}
