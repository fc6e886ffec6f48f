#include "lab/plan/result.h"

#include "base/error.h"
#include "fabricated_document.h"
#include "temp_dir.h"

#include <gtest/gtest.h>

namespace shimmy::lab {
namespace {

class Result : public ::testing::Test {
protected:
    Result() {
        campaign_ = fabricated_campaign(dir_.path());
        variant_ = {"m", "F16", campaign_.models[0].path, campaign_.models[0].path};
        run_ = {0, engine::Placement::offload(), 1, 1};
    }

    Json settings(const std::string & sha256 = "abc") const {
        return run_settings(campaign_, variant_, run_, sha256, "shimmy 0.1.0 (llama.cpp 0.5.0)", {});
    }
    Json record() const {
        return {{"campaign", "demo"}, {"settings", settings()}, {"started_at", "2026-01-01T00:00:00Z"}};
    }

    static ProcessResult finished(int exit_code, const std::string & out, const std::string & err = "") {
        return {exit_code, false, out, err};
    }
    static std::string good_output() { return fabricated_document("offload", {1000, 20.0, 40.0}).dump(); }

    // State of `content` as the stored file of the run.
    StoredResult load(const std::string & content) {
        const fs::path file = dir_ / "result.json";
        write_file_atomic(file, content);
        return load_result(file, settings());
    }

    TempDir dir_;
    Campaign campaign_;
    Variant variant_;
    lab::Run run_;
};

TEST_F(Result, AFinishedRunIsStoredAndFoundValid) {
    const Json result = make_result(record(), finished(0, good_output()), 60);
    EXPECT_FALSE(result.contains("error"));
    EXPECT_EQ(result["ttft_ms"], 20.0);
    EXPECT_EQ(result["run"]["settings"]["prompt_id"], "b");
    const StoredResult stored = load(result.dump());
    EXPECT_EQ(stored.state, ResultState::valid);
    EXPECT_EQ(stored.document, result);
}

TEST_F(Result, AbsentStaleAndCorruptFilesAreToldApart) {
    EXPECT_EQ(load_result(dir_ / "no.json", settings()).state, ResultState::absent);
    const std::string whole = make_result(record(), finished(0, good_output()), 60).dump(2);
    EXPECT_EQ(load(whole.substr(0, whole.size() / 2)).state, ResultState::invalid);
    EXPECT_EQ(load("").state, ResultState::invalid);
    EXPECT_EQ(load("[1, 2]").state, ResultState::invalid);
    EXPECT_EQ(load("{\"run\": 3}").state, ResultState::invalid);

    write_file_atomic(dir_ / "result.json", whole);
    EXPECT_EQ(load_result(dir_ / "result.json", settings("def")).state, ResultState::stale);
    campaign_.seed = 7;
    EXPECT_EQ(load_result(dir_ / "result.json", settings()).state, ResultState::stale);
    campaign_.seed = 42;
    campaign_.prompts[1].text = "Another text b";
    EXPECT_EQ(load_result(dir_ / "result.json", settings()).state, ResultState::stale);
}

TEST_F(Result, WhatRanOtherwiseThanItsAxesSayIsNoResult) {
    run_.point = {{"depth", "64"}, {"prompt_tokens", "12"}, {"threads", "2"}, {"moe_backend", "on"}};
    Json document = Json::parse(good_output());  // 2 threads, 12 tokens
    document["depth"] = 64;
    document["moe_backend"] = true;
    EXPECT_EQ(defect(document, settings()), "");
    const auto with = [&](const char * member, const Json & value) {
        Json other = document;
        other[member] = value;
        return defect(other, settings());
    };
    EXPECT_EQ(with("depth", 63), "ran with depth 63, not 64");
    EXPECT_EQ(with("n_prompt_tokens", 13), "ran with prompt_tokens 13, not 12");
    EXPECT_EQ(with("n_threads", 1), "ran with threads 1, not 2");
    EXPECT_EQ(with("moe_backend", false), "ran with libggml-moe off, not on");
    document.erase("depth");
    EXPECT_EQ(defect(document, settings()), "ran with depth 0, not 64");
    run_.point = {{"depth", "0"}, {"threads", "0"}, {"moe_backend", "auto"}};
    EXPECT_EQ(defect(document, settings()), "");
}

TEST_F(Result, AFigureThatIsGoneMakesAFileInvalid) {
    Json result = make_result(record(), finished(0, good_output()), 60);
    result["memory"].erase("vram_bytes");
    EXPECT_EQ(load(result.dump()).state, ResultState::invalid);
    result = make_result(record(), finished(0, good_output()), 60);
    result["ttft_ms"] = "20";
    EXPECT_EQ(load(result.dump()).state, ResultState::invalid);
}

// Every figure that documents are made of: without it, or with another type of value, a file is no result.
TEST_F(Result, EveryFigureIsNeededAndLookedAt) {
    const Json answer = Json::parse(good_output());
    const Json settings_of_answer = settings();
    EXPECT_EQ(defect(answer, settings_of_answer), "");
    const auto without = [](Json document, const std::string & pointer) {
        const Json::json_pointer at(pointer);
        document.at(at.parent_pointer()).erase(at.back());
        return document;
    };
    const auto with = [](Json document, const std::string & pointer, const Json & value) {
        document[Json::json_pointer(pointer)] = value;
        return document;
    };
    for (const char * pointer : {"/shimmy_version",   "/llama_cpp_version",
                                 "/model/size_bytes", "/placement",
                                 "/device/name",      "/device/description",
                                 "/device/backend",   "/device/kind",
                                 "/host/cpu",         "/host/os",
                                 "/host/n_cores",     "/host/ram_bytes",
                                 "/n_threads",        "/load_ms",
                                 "/peak_rss_bytes",   "/memory/vram_bytes",
                                 "/memory/vram",      "/n_prompt_tokens",
                                 "/n_output_tokens",  "/text",
                                 "/ttft_ms",          "/prefill_tps",
                                 "/total_ms",         "/cold",
                                 "/cold/ttft_ms",     "/decode_tps"}) {
        EXPECT_EQ(defect(without(answer, pointer), settings_of_answer), std::string("lacks ") + (pointer + 1));
        EXPECT_NE(defect(with(answer, pointer, Json::array()), settings_of_answer), "") << pointer;
    }
    for (const char * pointer : {"/load_ms", "/ttft_ms", "/total_ms", "/cold/ttft_ms", "/prefill_tps", "/decode_tps",
                                 "/cold/prefill_tps", "/cold/decode_tps"}) {
        for (const Json & value : {Json(-0.1), Json(1e308), Json("20"), Json(1.1e9)})
            EXPECT_EQ(defect(with(answer, pointer, value), settings_of_answer),
                      fmt::format("cannot have {} as its {}", value.dump(), pointer + 1));
        for (const Json & value : {Json(0), Json(0.0), Json(1e9)})
            EXPECT_EQ(defect(with(answer, pointer, value), settings_of_answer), "") << pointer << value;
    }
    for (const char * pointer :
         {"/model/size_bytes", "/n_threads", "/peak_rss_bytes", "/memory/vram_bytes", "/n_prompt_tokens",
          "/n_output_tokens", "/memory/expert_ram_bytes", "/memory/vram/model_bytes", "/memory/vram/context_bytes",
          "/memory/vram/compute_bytes", "/memory/vram/expert_cache_bytes"}) {
        for (const Json & value : {Json(-1), Json(0.5), Json("x"), Json(1e30)})
            EXPECT_NE(defect(with(answer, pointer, value), settings_of_answer), "") << pointer << value;
        EXPECT_EQ(defect(with(answer, pointer, 0), settings_of_answer), "") << pointer;
    }
}

TEST_F(Result, ListsHoldWhatTheyShould) {
    const Json answer = Json::parse(good_output());
    const auto defect_with = [&](const char * pointer, const Json & value) {
        Json document = answer;
        document[Json::json_pointer(pointer)] = value;
        return defect(document, settings());
    };
    const Json use{{"layer", 0}, {"expert", 1}, {"hits", 2}, {"bytes", 3}};
    EXPECT_EQ(defect_with("/expert_use", Json::array({use})), "");
    EXPECT_EQ(defect_with("/expert_use", nullptr), "");
    EXPECT_EQ(defect_with("/expert_use", Json::array({1})), "cannot have [1] as its expert_use");
    for (const char * key : {"layer", "expert", "hits", "bytes"}) {
        Json other = use;
        other[key] = -1;
        EXPECT_NE(defect_with("/expert_use", Json::array({use, other})), "") << key;
        other.erase(key);
        EXPECT_NE(defect_with("/expert_use", Json::array({other})), "") << key;
    }
    EXPECT_EQ(
        defect_with("/memory/devices", {{{"device_used_bytes", 5}}, {{"device_used_bytes", nullptr}}, Json::object()}),
        "");
    EXPECT_NE(defect_with("/memory/devices", 5), "");
    EXPECT_NE(defect_with("/memory/devices", Json::array({5})), "");
    EXPECT_NE(defect_with("/memory/devices", {{{"device_used_bytes", -5}}}), "");
    EXPECT_EQ(defect_with("/token_ms", {1.0, 2.5}), "");
    EXPECT_NE(defect_with("/token_ms", {1.0, -2.5}), "");
    EXPECT_NE(defect_with("/token_ms", 3), "");
    EXPECT_EQ(defect_with("/sse", {{"defects", {"a"}}}), "");
    EXPECT_NE(defect_with("/sse", {{"defects", {3}}}), "");
    EXPECT_EQ(defect_with("/cold/same_text", false), "");
    EXPECT_NE(defect_with("/cold/same_text", 1), "");
}

TEST_F(Result, ALoadRunHasFiguresOfItsOwn) {
    run_.mode = Mode::load;
    run_.n_clients = 4;
    Json document = Json::parse(good_output());
    for (const char * key : {"text", "ttft_ms", "decode_tps", "cold", "prefill_tps", "total_ms"})
        document.erase(key);
    EXPECT_EQ(defect(document, settings()), "lacks load/n_clients");
    const Json times{{"p50", 1.0}, {"p90", 2.0}, {"p99", 3.0}};
    document["load"] = {{"n_clients", 4},         {"duration_ms", 1000.0}, {"n_requests", 3},
                        {"n_failed_requests", 0}, {"n_output_tokens", 30}, {"total_tps", 30.0},
                        {"ttft_ms", times},       {"gap_ms", times},       {"n_sse_defects", 0}};
    EXPECT_EQ(defect(document, settings()), "");
    for (const char * pointer : {"/n_clients", "/duration_ms", "/n_requests", "/n_failed_requests", "/n_output_tokens",
                                 "/total_tps", "/ttft_ms/p50", "/ttft_ms/p90", "/ttft_ms/p99", "/gap_ms/p50",
                                 "/gap_ms/p90", "/gap_ms/p99", "/n_sse_defects"}) {
        Json damaged = document;
        damaged["load"][Json::json_pointer(pointer)] = nullptr;
        EXPECT_EQ(defect(damaged, settings()), std::string("lacks load") + pointer);
        damaged["load"][Json::json_pointer(pointer)] = -1;
        EXPECT_NE(defect(damaged, settings()), "") << pointer;
    }
}

TEST_F(Result, ABaselineHasNoExpertsInRam) {
    run_.placement = engine::Placement::baseline();
    Json document = fabricated_document("baseline", {1000, 20.0, 40.0});
    document["memory"]["expert_ram_bytes"] = 0;
    EXPECT_EQ(defect(document, settings()), "");
    document["memory"]["expert_ram_bytes"] = 1073741824;
    EXPECT_EQ(defect(document, settings()),
              "is a false baseline: 1.00 GiB of experts stayed in RAM, because Vulkan0 cannot hold or compute them");
    run_.placement = engine::Placement::offload();
    document["placement"] = "offload";
    EXPECT_EQ(defect(document, settings()), "");
    EXPECT_EQ(defect(Json::array(), settings()), "is not a JSON document");
}

// Everything that figures depend on is compared.
TEST_F(Result, SettingsAreAllThatDecides) {
    const Json before = settings();
    EXPECT_EQ(before["model"], "m");
    EXPECT_EQ(before["quantization"], "F16");
    EXPECT_EQ(before["placement"], "offload");
    EXPECT_EQ(before["mode"], "generate");
    EXPECT_EQ(before["prompt"], "Text b");
    EXPECT_EQ(before["model_sha256"], "abc");
    EXPECT_EQ(before["gpu_backend"], "auto");
    const auto expect_other = [&](const char * key, auto & setting, const auto & value) {
        const auto old = setting;
        setting = value;
        const Json now = settings();
        EXPECT_NE(now[key], before[key]) << key;
        setting = old;
        EXPECT_EQ(settings(), before);
    };
    expect_other("max_tokens", campaign_.max_tokens, 7);
    expect_other("seed", campaign_.seed, 7U);
    expect_other("temperature", campaign_.temperature, 0.7);
    expect_other("n_ctx", campaign_.n_ctx, 7);
    expect_other("threads", campaign_.n_threads, 7);
    expect_other("device", campaign_.device, "x");
    expect_other("repeat", run_.repeat, 2);
    expect_other("prompt_id", run_.prompt, 0U);
    expect_other("mode", run_.mode, Mode::stream);
    expect_other("quantization", variant_.quantization, "Q2_K");
    expect_other("model", variant_.model, "n");
    const Json backends = run_settings(campaign_, variant_, run_, "abc", "p", {"cuda", "off"});
    EXPECT_EQ(backends["gpu_backend"], "cuda");
    EXPECT_EQ(backends["moe_backend"], "off");
    EXPECT_EQ(backends["program"], "p");
    run_.mode = Mode::load;
    run_.n_clients = 4;
    const Json load = settings();
    EXPECT_EQ(load["n_clients"], 4);
    EXPECT_EQ(load["duration_s"], 30);
    EXPECT_EQ(load["prompts"], Json::array({"Text a", "Text b"}));
    EXPECT_FALSE(load.contains("prompt"));
}

std::string message_of(const Json & result) {
    return result.contains("error") ? result["error"]["message"].get<std::string>() : "";
}

TEST_F(Result, FailuresCarryTheReason) {
    const Json told = make_result(
        record(), finished(1, R"({"error": {"message": "does not fit", "exit_code": 1}})", "shimmy: x"), 60);
    EXPECT_EQ(message_of(told), "does not fit");
    EXPECT_EQ(told["error"]["exit_code"], 1);
    EXPECT_EQ(message_of(make_result(record(), finished(3, "", "first\nlast line\n"), 60)), "exit code 3: last line");
    EXPECT_EQ(message_of(make_result(record(), finished(139, "", ""), 60)), "ended by signal 11");
    ProcessResult late = finished(137, "", "");
    late.timed_out = true;
    EXPECT_EQ(message_of(make_result(record(), late, 60)), "did not finish within 60 s");
    EXPECT_NE(message_of(make_result(record(), finished(0, "not json"), 60)).find("is not a JSON document"),
              std::string::npos);
    const StoredResult stored = load(told.dump());
    EXPECT_EQ(stored.state, ResultState::failed);
    EXPECT_EQ(stored.reason, "does not fit");
    Json untold = told;
    untold["error"] = 3;
    EXPECT_EQ(load(untold.dump()).reason, "failed");
    EXPECT_EQ(message_of(make_result(record(), finished(128, "", ""), 60)), "exit code 128");
    EXPECT_EQ(message_of(make_result(record(), finished(129, "", "killed\n \r\n"), 60)), "ended by signal 1: killed");
    EXPECT_EQ(message_of(make_result(record(), finished(2, R"({"error": {"message": 3}})", "one line"), 60)),
              "exit code 2: one line");
    late.exit_code = 0;
    EXPECT_EQ(make_result(record(), late, 60)["error"]["exit_code"], 1) << "a failure is never 0";
    EXPECT_EQ(make_result(record(), finished(3, "", ""), 60)["error"]["exit_code"], 3);
}

TEST_F(Result, ARunThatUsedAnotherPlacementIsAFailure) {
    const std::string output = fabricated_document("baseline", {1000, 20.0, 40.0}).dump();
    EXPECT_NE(message_of(make_result(record(), finished(0, output), 60)).find("ran as baseline, not as offload"),
              std::string::npos);
}

}  // namespace
}  // namespace shimmy::lab
