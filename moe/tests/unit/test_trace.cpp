// The file that says which experts every token chose: every field, turns and phases, and that it can be turned on and
// off.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "experts/trace.h"
#include "harness.h"

using namespace moe_test;

namespace {

const std::string HEADER = "# route_trace v1\nturn,phase,step,layer,slot,expert,weight,residency,expert_bytes\n";

// A trace in a file of its own, ended when it is read.
struct TraceFile {
    TraceFile() { EXPECT_TRUE(proc<ggml_moe_trace_t>("ggml_moe_trace")(name.c_str())); }
    ~TraceFile() {
        moe::trace_to(nullptr);
        std::remove(name.c_str());
    }
    TraceFile(const TraceFile &) = delete;
    TraceFile & operator=(const TraceFile &) = delete;
    std::string text() const {
        std::stringstream s;
        s << std::ifstream(name).rdbuf();
        return s.str();
    }
    const std::string name = testing::TempDir() + "moe-trace.csv";
};

void layer(moe::Trace & t, int32_t n, int32_t tokens) {
    t.begin(n, tokens);
    for (int32_t i = 0; i < tokens; ++i) {
        t.add(i, 0, 10 * n + i, 0.25f, i == 1, 64);
    }
    t.end();
}

}  // namespace

TEST(Trace, OffUnlessAskedFor) {
    EXPECT_FALSE(moe::Trace::is_on());
    {
        const TraceFile f;
        EXPECT_TRUE(moe::Trace::is_on());
        EXPECT_EQ(f.text(), HEADER) << "at once";
    }
    EXPECT_FALSE(moe::Trace::is_on());
    EXPECT_FALSE(moe::trace_to("/nowhere/t.csv"));
    EXPECT_FALSE(moe::Trace::is_on());
}
TEST(Trace, TurnsPhasesAndSteps) {
    const TraceFile f;
    moe::Trace t;
    layer(t, 1, 2);
    layer(t, 3, 2);  // a prompt of two tokens through two layers
    layer(t, 1, 1);
    layer(t, 3, 1);
    layer(t, 1, 1);
    layer(t, 3, 1);
    layer(t, 1, 3);  // the next prompt
    layer(t, 1, 2);  // its second batch
    EXPECT_EQ(f.text(), HEADER +
                            "0,0,0,1,0,10,0.25,0,64\n0,0,1,1,0,11,0.25,1,64\n"
                            "0,0,0,3,0,30,0.25,0,64\n0,0,1,3,0,31,0.25,1,64\n"
                            "0,1,2,1,0,10,0.25,0,64\n0,1,2,3,0,30,0.25,0,64\n"
                            "0,1,3,1,0,10,0.25,0,64\n0,1,3,3,0,30,0.25,0,64\n"
                            "1,0,0,1,0,10,0.25,0,64\n1,0,1,1,0,11,0.25,1,64\n1,0,2,1,0,12,0.25,0,64\n"
                            "1,0,3,1,0,10,0.25,0,64\n1,0,4,1,0,11,0.25,1,64\n");
}
TEST(Trace, OfAFusedFfn) {
    const TraceFile f;
    Graph g(true);
    const auto weights = [&](const char * name) {
        return g.weight(GGML_TYPE_F32, {16, 16, 3}, quantize(GGML_TYPE_F32, normals(768, 1), 16), name);
    };
    ggml_tensor *x = g.input({16, 1, 2}, normals(32, 1)), *ids = g.ids({2, 2}, {2, 0, 1, -1});
    ggml_tensor * gate = ggml_mul_mat_id(g.ctx(), weights("blk.41.ffn_gate_exps.weight"), x, ids);
    ggml_tensor * up = ggml_mul_mat_id(g.ctx(), weights("blk.41.ffn_up_exps.weight"), x, ids);
    g.compute(
        ggml_mul_mat_id(g.ctx(), weights("blk.41.ffn_down_exps.weight"), ggml_swiglu_split(g.ctx(), gate, up), ids));
    EXPECT_EQ(f.text(), HEADER + "0,0,0,41,0,2,0,0,3072\n0,0,0,41,1,0,0,0,3072\n0,0,1,41,0,1,0,0,3072\n")
        << "a slot without an expert has no line";
}
