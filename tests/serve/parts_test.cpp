// The parts of the server that need no process: events, metrics, back-off, errors, frames.
#include "base/http/sse.h"
#include "serve/api/shapes.h"
#include "serve/metrics/prometheus.h"
#include "serve/pool/back_off.h"
#include "serve/wire/documents.h"
#include "serve/wire/frames.h"

#include <gtest/gtest.h>

#include <thread>

namespace shimmy::serve {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(AcceptEncoding, GzipIsNamedWithAWeight) {
    for (const char * header : {"gzip", "gzip, deflate, br, zstd", "br;q=1.0, GZIP;q=0.8", "deflate,gzip ; q=0.001"})
        EXPECT_TRUE(takes_gzip(header)) << header;
    for (const char * header : {"", "*", "identity", "br, deflate", "gzip;q=0", "gzip; q=0.000", "xgzip", "gzipx"})
        EXPECT_FALSE(takes_gzip(header)) << header;
}

TEST(Sse, EventsAreWholeHoweverTheyAreCut) {
    const std::string stream =
        "data: {\"a\":1}\n\n:\n\nevent: x\ndata: one\ndata: two\n\ndata:no space\n\ndata: [DONE]\n\n";
    const std::vector<std::string> expected{"{\"a\":1}", "one\ntwo", "no space", "[DONE]"};
    EXPECT_EQ(SseReader().feed(stream), expected);
    for (size_t cut = 1; cut < stream.size(); ++cut) {
        SseReader reader;
        std::vector<std::string> events = reader.feed(stream.substr(0, cut));
        for (std::string & event : reader.feed(stream.substr(cut)))
            events.push_back(std::move(event));
        EXPECT_EQ(events, expected) << cut;
    }
    EXPECT_TRUE(SseReader().feed("data: not whole\n").empty());
}

TEST(Prometheus, LinesOfOneNameStandTogether) {
    Metrics metrics;
    metrics.describe("own", "gauge", "What it is");
    metrics.add("own", "model=" + label_value("a\"b\\c\n"), "1");
    metrics.add_text("# HELP llama:x Help\n# TYPE llama:x counter\nllama:x 5\n", "model=\"a\"");
    metrics.add_text("# HELP llama:x Help\n# TYPE llama:x counter\nllama:x 7\n", "model=\"b\"");
    EXPECT_EQ(metrics.text(),
              "# HELP llama:x Help\n# TYPE llama:x counter\nllama:x{model=\"a\"} 5\nllama:x{model=\"b\"} 7\n"
              "# HELP own What it is\n# TYPE own gauge\nown{model=\"a\\\"b\\\\c \"} 1\n");
}

TEST(Prometheus, LabelsOfALineStayBesideTheModels) {
    Metrics metrics;
    metrics.add_text(
        "# TYPE per_pos_total counter\nper_pos_total{position=\"0\"} 10\nper_pos_total{position=\"} 1\"} 2 1700\n"
        "per_pos_total{} 3\nper_pos_total{position=\n",
        "model=\"a\"");
    metrics.add_text("b{x=\"1\"} 4\n", "");
    EXPECT_EQ(metrics.text(),
              "b{x=\"1\"} 4\n"
              "# TYPE per_pos_total counter\nper_pos_total{model=\"a\",position=\"0\"} 10\n"
              "per_pos_total{model=\"a\",position=\"} 1\"} 2 1700\nper_pos_total{model=\"a\"} 3\n");
}

TEST(BackOff, WaitsLongerWithEveryDeathInARow) {
    BackOff back_off;
    BackOff::Clock::time_point now{};
    EXPECT_EQ(back_off.wait(now), milliseconds(0));
    std::vector<int64_t> waits;
    for (int i = 0; i < 10; ++i) {
        back_off.note_death(now, seconds(1));
        waits.push_back(back_off.wait(now).count());
        now += back_off.wait(now);
        EXPECT_EQ(back_off.wait(now), milliseconds(0));
    }
    EXPECT_EQ(waits, (std::vector<int64_t>{0, 1000, 2000, 4000, 8000, 16000, 32000, 60000, 60000, 60000}));
    back_off.note_death(now, seconds(60));
    EXPECT_EQ(back_off.wait(now), milliseconds(0)) << "it had lived for long";
    EXPECT_EQ(back_off.n_deaths(), 1);
}

TEST(Shapes, EachApiHasItsOwnErrors) {
    const HttpError error(503, "gone");
    EXPECT_EQ(error_event(Shape::openai, error),
              "data: {\"error\":{\"code\":503,\"message\":\"gone\",\"type\":\"unavailable_error\"}}\n\n");
    EXPECT_EQ(
        error_event(Shape::anthropic, error),
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"gone\"}}\n\n");
    EXPECT_EQ(error_event(Shape::ollama, error), "{\"error\":\"gone\"}\n");
    EXPECT_TRUE(error_event(Shape::responses, error).starts_with("event: error\ndata: {\"type\":\"error\""));
    EXPECT_EQ(error_document(Shape::anthropic, HttpError(404, "no"))["error"]["type"], "not_found_error");
    const Json with_more{{"code", 400}, {"message", "long"}, {"n_ctx", 512}};
    EXPECT_EQ(error_document(Shape::openai, HttpError(with_more))["error"]["n_ctx"], 512);
}

TEST(Frames, ArriveWholeAndInOrder) {
    auto [ours, theirs] = socket_pair();
    const std::string large(5'000'000, 'x');
    std::thread sender([&theirs = theirs, &large] {
        EXPECT_TRUE(wire::send_frame(theirs, wire::Kind::head, ""));
        EXPECT_TRUE(wire::send_frame(theirs, wire::Kind::data, large));
        EXPECT_TRUE(wire::send_frame(theirs, wire::Kind::end, "figures"));
        theirs.reset();
    });
    wire::FrameReader reader(ours);
    wire::Frame frame;
    for (const auto & [kind, payload] : {std::pair{wire::Kind::head, std::string()}, std::pair{wire::Kind::data, large},
                                         std::pair{wire::Kind::end, std::string("figures")}}) {
        ASSERT_EQ(reader.read(frame, seconds(60)), wire::FrameReader::Got::frame);
        EXPECT_EQ(frame.kind, kind);
        EXPECT_TRUE(frame.payload == payload);
    }
    sender.join();
    EXPECT_EQ(reader.read(frame, seconds(60)), wire::FrameReader::Got::closed);
    EXPECT_FALSE(wire::send_frame(ours, wire::Kind::ask, large)) << "nobody is there";
}

TEST(Frames, NothingYetIsNotTheEnd) {
    auto [ours, theirs] = socket_pair();
    wire::FrameReader reader(ours);
    wire::Frame frame;
    EXPECT_EQ(reader.read(frame, milliseconds(1)), wire::FrameReader::Got::nothing_yet);
    EXPECT_TRUE(wire::send_frame(theirs, wire::Kind::data, "a"));
    EXPECT_EQ(reader.read(frame, seconds(60)), wire::FrameReader::Got::frame);
}

TEST(Documents, ComeBackAsTheyWere) {
    ModelOptions options;
    options.load.path = "/models/\xff.gguf";  // no UTF-8
    options.load.placement = engine::Placement::partial(3);
    options.load.n_ctx = 77;
    options.load.warm_up = false;
    options.load.measures_speculation = true;
    options.backends = {"vulkan", "off", "4096", "a:1", 64};
    options.expert_trace = "/t.csv";
    options.stall_limit = seconds(5);
    const Json document = Json::parse(wire::to_json("name", options).dump());
    const ModelOptions back = wire::options_from(document);
    EXPECT_EQ(back.load.path, options.load.path);
    EXPECT_EQ(back.load.placement, options.load.placement);
    EXPECT_EQ(back.load.n_ctx, 77U);
    EXPECT_FALSE(back.load.warm_up);
    EXPECT_EQ(back.backends.moe_cache, "4096");
    EXPECT_EQ(back.backends.rpc_servers, "a:1");
    EXPECT_EQ(back.backends.moe_gpu_min_batch, 64);
    EXPECT_TRUE(back.load.measures_speculation);
    EXPECT_FALSE(wire::options_from(wire::to_json("name", ModelOptions())).backends.moe_gpu_min_batch);
    EXPECT_EQ(back.stall_limit, seconds(5));
    EXPECT_EQ(back.expert_trace, "/t.csv");
    EXPECT_EQ(wire::name_from(document), "name");

    Loaded loaded;
    loaded.n_ctx = 512;
    loaded.speculation = {"speculation off", "ngram-mod", false, 0.75};
    loaded.memory.buffers = {{"CPU", "CPU_Mapped", true, 1, 2, 3, 4}};
    loaded.experts = {{4, {"MoE"}, 10, 9}};
    const Loaded again = wire::loaded_from(Json::parse(wire::to_json(loaded).dump()));
    EXPECT_EQ(again.n_ctx, 512U);
    EXPECT_EQ(again.speculation.text, "speculation off");
    EXPECT_EQ(again.speculation.kind, "ngram-mod");
    EXPECT_FALSE(again.speculation.is_on);
    EXPECT_EQ(again.speculation.gain, 0.75);
    EXPECT_EQ(again.memory.host().total_bytes(), 10U);
    ASSERT_EQ(again.experts.size(), 1U);
    EXPECT_EQ(again.experts[0].layer, 4);
    EXPECT_EQ(again.experts[0].host_bytes, 9U);

    wire::ExpertsNow experts{{{4, 1, 7, 70, true}, {4, 2, 0, 0, false}},
                             engine::ExpertCache(),
                             engine::ExpertDisk(),
                             engine::ExpertMemory{30, 40},
                             loaded.memory};
    experts.cache->state = "1 of 2 experts in VRAM";
    experts.cache->slots = 1;
    experts.cache->hits = 3;
    experts.cache->lookups = 4;
    experts.disk->read_bytes = 5;
    const wire::ExpertsNow now = wire::experts_from(Json::parse(wire::to_json(experts).dump()));
    ASSERT_EQ(now.use.size(), 2U);
    EXPECT_EQ(now.use[0].expert, 1);
    EXPECT_EQ(now.use[0].bytes, 70U);
    EXPECT_TRUE(now.use[0].in_vram);
    EXPECT_FALSE(now.use[1].in_vram);
    EXPECT_EQ(now.cache->state, experts.cache->state);
    EXPECT_EQ(now.cache->hit_rate(), 0.75);
    EXPECT_EQ(now.disk->read_bytes, 5U);
    EXPECT_EQ(now.in_ram->pinned_bytes, 30U);
    EXPECT_EQ(now.in_ram->mapped_bytes, 40U);
    EXPECT_EQ(now.memory.host().expert_cache_bytes, 4U);
    experts.cache.reset();
    experts.disk.reset();
    experts.in_ram.reset();
    EXPECT_FALSE(wire::experts_from(wire::to_json(experts)).cache);
    EXPECT_FALSE(wire::experts_from(wire::to_json(experts)).disk);
    EXPECT_FALSE(wire::experts_from(wire::to_json(experts)).in_ram);

    wire::Ask ask;
    ask.route = "/v1/chat/completions";
    ask.accepted = wire::Ask::Clock::now();
    EXPECT_EQ(wire::ask_from(Json::parse(wire::to_json(ask).dump())).accepted, ask.accepted);
}

}  // namespace
}  // namespace shimmy::serve
