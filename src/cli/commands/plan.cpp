// shimmy plan: what a model would take, before it is downloaded or quantized.
#include "base/error.h"
#include "base/host/bandwidth.h"
#include "base/host/host.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/commands/plan_hardware.h"
#include "cli/commands/plan_trace.h"
#include "cli/placement_options.h"
#include "cli/print/plan_document.h"
#include "engine/load/device.h"
#include "engine/load/load_options.h"
#include "engine/make/quantize.h"
#include "engine/predict/fit.h"
#include "engine/predict/quantization.h"
#include "engine/predict/shortage.h"
#include "engine/predict/stand_in.h"
#include "gguf/file_type.h"
#include "hub/api/model_files.h"
#include "hub/download/pull.h"
#include "hub/download/remote_gguf.h"

#include <algorithm>
#include <memory>

namespace shimmy::cli {

namespace {

// From what an old card reads to what an H100 does.
constexpr double VRAM_BANDWIDTH_LOW = 200e9;
constexpr double VRAM_BANDWIDTH_HIGH = 3350e9;

// Of these the minimum VRAM is shown, where the model can be quantized to them.

struct PlanArguments {
    std::string file;
    std::string shape;
    std::string repo;
    std::string quantization;
    std::string vram;
    std::string reserve;
    std::string ram;
    std::string disk;
    std::string ram_bandwidth;
    std::string vram_bandwidth;
    std::string link_bandwidth;
    std::string trace;
    std::string cache_sizes;
    std::string chart;
    bool hardware = false;
    engine::LoadOptions load;
};

// Where the model comes from; the objects keep its files until the plan is made.
struct Source {
    std::string text;
    std::string file;  // empty: a shape
    gguf::Shape shape;
    std::unique_ptr<hub::RemoteGguf> remote;
    uint64_t file_bytes = 0;  // of the file as it is
    std::string file_quantization;
    std::string held_type;  // for messages
    bool can_quantize = false;

    std::unique_ptr<engine::StandIn> stand_in(const std::string & quantization) const {
        const bool as_is = !file.empty() && (quantization.empty() || quantization == file_quantization);
        if (!file.empty()) return std::make_unique<engine::StandIn>(file, as_is ? "" : quantization);
        return std::make_unique<engine::StandIn>(shape, quantization);
    }
};

// The quantization that keeps a file from being quantized: its label, unless that says that there is none.
std::string held_type(const gguf::ModelInfo & info) {
    if (!gguf::is_float_type(info.quantization)) return info.quantization;
    for (const gguf::TypeUse & use : info.types) {
        if (!gguf::is_float_type(use.type)) return use.type;
    }
    return info.quantization;
}

Source file_source(const std::string & file, const std::string & text) {
    const gguf::GgufFile opened(file);
    const gguf::ModelInfo info = gguf::read_model_info(opened);
    if (info.n_tensors == 0) fail("{}: holds a vocabulary and no weights", text);
    Source source;
    source.text = text;
    source.file = file;
    source.file_bytes = info.size_bytes;
    source.file_quantization = info.quantization;
    // By what the file holds: some are labelled F16 whose experts are MXFP4.
    source.can_quantize = engine::is_quantizable(opened);
    source.held_type = source.can_quantize ? info.quantization : held_type(info);
    return source;
}

// A model that was pulled as the Hub has it now; otherwise its header is fetched.
Source repo_source(const std::string & repo, const std::string & quantization) {
    hub::check_repo_id(repo, "--repo");
    const hub::Environment environment = hub::read_environment();
    const auto note = [](const std::string & line) { fmt::print(stderr, "{}\n", line); };
    const auto cached = hub::find_in_cache(environment, {repo, quantization});
    const auto from_cache = [&] {
        const std::string path = cached->files.front().string();
        return file_source(path, fmt::format("{}/{}", repo, cached->files.front().filename().string()));
    };
    if (environment.offline && cached) return from_cache();
    const hub::Api api(environment, note);
    if (cached && hub::find_commit(api, repo, hub::MAIN) == cached->commit) return from_cache();
    const std::string file = hub::choose_model(hub::list_models(api, repo), quantization, repo);
    auto remote = std::make_unique<hub::RemoteGguf>(api, repo, file);
    Source source = file_source(remote->path().string(), fmt::format("{}/{}", repo, file));
    source.remote = std::move(remote);
    return source;
}

Source find_source(const PlanArguments & options) {
    const int n_given =
        (options.file.empty() ? 0 : 1) + (options.shape.empty() ? 0 : 1) + (options.repo.empty() ? 0 : 1);
    if (n_given != 1) fail_usage("give one of FILE, --shape NAME and --repo USER/NAME");
    if (!options.file.empty()) return file_source(options.file, options.file);
    if (!options.repo.empty()) {
        return hub::checking_answers([&] { return repo_source(options.repo, options.quantization); });
    }
    Source source;
    source.shape = gguf::load_shape(options.shape);
    source.text = source.shape.name;
    source.can_quantize = source.shape.quantization != "MXFP4_MOE";  // its makers publish it quantized
    return source;
}

void check_quantization(const Source & source, const std::string & quantization) {
    const std::string own = source.file.empty() ? source.shape.quantization : source.file_quantization;
    if (source.can_quantize || quantization.empty() || quantization == own) return;
    fail("{}: is already quantized ({}), so {} cannot be made from it: leave out --quant", source.text,
         source.held_type.empty() ? own : source.held_type, quantization);
}

engine::BandwidthRange bandwidth_option(const std::string & text, const char * option) {
    std::string bytes = text;
    if (bytes.ends_with("/s")) bytes.resize(bytes.size() - 2);
    const auto value = static_cast<double>(parse_bytes(bytes, option));
    if (value <= 0.0) fail_usage("{}: must be above 0", option);
    return {value, value, "given"};
}

void set_limits(const PlanArguments & options, const engine::Device & device, Plan & plan) {
    const bool exact = device.is_gpu();
    plan.exact = exact;
    plan.device_name = device.name;
    plan.software_device = device.software;
    if (!options.vram.empty()) {
        plan.vram_limit_bytes = parse_bytes(options.vram, "--vram");
        plan.vram_limit_source = "--vram";
    } else if (exact) {
        uint64_t free_bytes = 0;
        for (const engine::Device & gpu : engine::devices()) {
            const bool in_use = options.load.device.empty() ? gpu.kind == engine::DeviceKind::gpu && !gpu.software
                                                            : gpu.name == device.name;
            if (in_use) free_bytes += gpu.memory_free_bytes;
        }
        plan.vram_limit_bytes = free_bytes;
        plan.vram_limit_source = fmt::format("free on {} now", device.name);
    }
    plan.vram_reserve_bytes = options.reserve.empty() ? engine::margin_bytes(plan.vram_limit_bytes.value_or(0))
                                                      : parse_bytes(options.reserve, "--reserve");
    plan.ram_limit_bytes = options.ram.empty() ? host().ram_bytes : parse_bytes(options.ram, "--ram");
    plan.ram_limit_source = options.ram.empty() ? "of this machine" : "--ram";
    if (options.ram_bandwidth.empty()) {
        const double measured = measure_ram_bandwidth(default_threads());
        plan.ram = {measured, measured, "measured"};
    } else {
        plan.ram = bandwidth_option(options.ram_bandwidth, "--bandwidth");
    }
    plan.vram = options.vram_bandwidth.empty()
                    ? engine::BandwidthRange{VRAM_BANDWIDTH_LOW, VRAM_BANDWIDTH_HIGH, "assumed"}
                    : bandwidth_option(options.vram_bandwidth, "--vram-bandwidth");
}

QuantizationNeed need_of(const engine::StandIn & model, engine::LoadOptions load, const Plan & plan) {
    load.path = model.path().string();
    const auto extremes = engine::estimate_extremes(load, plan.ram, plan.vram);
    return {model.quantization(), model.size_bytes(), extremes.front().vram.total_bytes(),
            extremes.back().vram.total_bytes(), extremes.back().host.total_bytes()};
}

void plan_quantizations(const Source & source, const engine::LoadOptions & load, Plan & plan) {
    std::vector<std::string> types{plan.quantization};
    if (source.can_quantize) {
        types.assign(QUANTIZATIONS.begin(), QUANTIZATIONS.end());
        if (std::find(types.begin(), types.end(), plan.quantization) == types.end()) types.push_back(plan.quantization);
    }
    for (const std::string & type : types)
        plan.quantizations.push_back(need_of(*source.stand_in(type), load, plan));
    std::stable_sort(
        plan.quantizations.begin(), plan.quantizations.end(),
        [](const QuantizationNeed & a, const QuantizationNeed & b) { return a.disk_bytes < b.disk_bytes; });
}

// All experts on the CPU. Where no card is known, the other weights are in RAM, too.
void plan_from_disk(const PlanArguments & options, const engine::LoadOptions & load, Plan & plan) {
    if (!options.disk.empty()) plan.disk_bytes_per_s = bandwidth_option(options.disk, "--disk").low;
    if (!plan.info.cpu_moe_applies()) return;
    const engine::PlacementEstimate & offload = plan.placements.back();
    const uint64_t in_ram = plan.vram_limit_bytes ? offload.host.model_bytes : plan.info.tensor_bytes;
    plan.disk = engine::plan_disk(offload, engine::token_bytes(*load.file, offload.n_cpu_moe), plan.info.expert_bytes,
                                  in_ram - std::min(in_ram, plan.info.expert_bytes), plan.ram_limit_bytes,
                                  plan.disk_bytes_per_s.value_or(0.0));
}

Plan make_plan(const PlanArguments & options, const engine::Device & device) {
    const Source source = find_source(options);
    const std::string quantization =
        options.quantization.empty() ? "" : engine::canonical_quantization(options.quantization);
    check_quantization(source, quantization);
    const auto model = source.stand_in(quantization);
    Plan plan;
    set_limits(options, device, plan);
    plan.source = source.text;
    plan.quantization = model->quantization();
    const bool as_is = !source.file.empty() && plan.quantization == source.file_quantization;
    plan.disk_bytes = as_is ? source.file_bytes : model->size_bytes();
    plan.fetched_bytes = source.remote ? source.remote->fetched_bytes() : 0;

    engine::LoadOptions load = options.load;
    load.path = model->path().string();
    load.name = source.text;
    plan.info = gguf::read_model_info(load.open_file());
    if (!plan.exact) load.device = engine::MODELLED_CUDA;
    plan.n_ctx = static_cast<int>(engine::context_size(load, static_cast<uint32_t>(plan.info.n_ctx_train)));
    plan.placements = engine::estimate_placements(load, plan.ram, plan.vram);
    plan_from_disk(options, load, plan);
    plan_quantizations(source, load, plan);
    return plan;
}

constexpr double ASSUMED_VRAM_BANDWIDTH = 450e9;  // a card of the middle
constexpr double ASSUMED_LINK_BANDWIDTH = 22e9;   // PCIe 4.0 x16, as it is measured

double single(const engine::BandwidthRange & range) {
    return range.low == range.high ? range.low : ASSUMED_VRAM_BANDWIDTH;
}

// The model is optional here: a trace says how large experts are, but not what lies beside them.
int run_trace_plan(const PlanArguments & options, const engine::Device & device, bool json) {
    TraceOptions trace;
    trace.file = options.trace;
    trace.cache_sizes = options.cache_sizes;
    trace.chart = options.chart;
    Plan limits;
    if (options.file.empty() && options.shape.empty() && options.repo.empty()) {
        if (!options.vram.empty()) fail_usage("--vram with --trace needs the model: FILE, --shape or --repo");
        set_limits(options, device, limits);
    } else {
        limits = make_plan(options, device);
        const engine::PlacementEstimate & offload = limits.placements.back();
        if (limits.vram_limit_bytes) trace.vram_bytes = limits.usable_vram_bytes();
        trace.other_vram_bytes = offload.vram.total_bytes();
        trace.n_expert = static_cast<int>(limits.info.n_expert);
        trace.n_layer = static_cast<int>(limits.info.n_layers);
        trace.machine.rest_s = static_cast<double>(offload.vram.model_bytes) / single(limits.vram);
    }
    trace.machine.ram_bytes_per_s = limits.ram.low;
    trace.machine.vram_bytes_per_s = single(limits.vram);
    trace.machine.link_bytes_per_s = options.link_bandwidth.empty()
                                         ? ASSUMED_LINK_BANDWIDTH
                                         : bandwidth_option(options.link_bandwidth, "--link-bandwidth").low;
    trace.machine_text =
        fmt::format("RAM {:.1f} GB/s ({}), VRAM {:.0f} GB/s ({}), link {:.1f} GB/s ({})", limits.ram.low / 1e9,
                    limits.ram.source, trace.machine.vram_bytes_per_s / 1e9, limits.vram.source,
                    trace.machine.link_bytes_per_s / 1e9, options.link_bandwidth.empty() ? "assumed" : "given");
    return print_trace_plan(trace, json);
}

int run_plan(const PlanArguments & options, const Globals & globals) {
    if (globals.cpu_moe || globals.n_cpu_moe || globals.placement)
        fail_usage("plan shows every placement: leave out --placement, --cpu-moe and --n-cpu-moe");
    load_backends(globals, options.load.device);
    const engine::Device device = engine::find_device(options.load.device);
    if (options.hardware) {
        if (!options.file.empty() || !options.repo.empty() || !options.vram.empty() || !options.quantization.empty())
            fail_usage(
                "--hardware shows the reference models on several cards: it takes no FILE, --repo, --quant or --vram");
        HardwareOptions guide;
        guide.load = options.load;
        if (!device.is_gpu()) guide.load.device = engine::MODELLED_CUDA;
        guide.exact = device.is_gpu();
        guide.device_name = device.name;
        if (!options.shape.empty()) guide.shapes = {options.shape};
        if (!options.reserve.empty()) guide.vram_reserve_bytes = parse_bytes(options.reserve, "--reserve");
        if (!options.ram.empty()) guide.ram_limit_bytes = parse_bytes(options.ram, "--ram");
        return print_hardware_guide(guide, globals.json);
    }
    if (!options.trace.empty()) return run_trace_plan(options, device, globals.json);
    if (!options.cache_sizes.empty() || !options.chart.empty() || !options.link_bandwidth.empty())
        fail_usage("--cache-sizes, --chart and --link-bandwidth belong to --trace");
    const Plan plan = make_plan(options, device);
    if (globals.json) {
        fmt::print("{}\n", json_text(to_json(plan)));
    } else {
        fmt::print("{}", to_text(plan));
    }
    return 0;
}

}  // namespace

void add_plan(Commands & commands) {
    auto options = std::make_shared<PlanArguments>();
    CLI::App * command =
        commands.add("plan", "predict VRAM, RAM, disk and decode rate of every placement, before downloading anything",
                     [options, &commands] { return run_plan(*options, commands.globals()); });
    command->add_option("file", options->file, "GGUF file; of a split model, its first part")->type_name("FILE");
    command->add_option("--shape", options->shape, "reference shape or a TOML file instead of a file")
        ->type_name("NAME|SPEC.toml");
    command->add_option("--repo", options->repo, "repository on the Hugging Face Hub; only the file's header is read")
        ->type_name("USER/NAME");
    command->add_option("--quant", options->quantization, "quantization (default: the file's or the shape's own)")
        ->type_name("TYPE");
    command->add_option("--vram", options->vram, "memory of the card (default: what is free on this machine's)")
        ->type_name("SIZE");
    command
        ->add_option("--reserve", options->reserve,
                     "VRAM to keep free for the driver and a display (default: 512 MiB, or 5% of a larger card)")
        ->type_name("SIZE");
    command->add_option("--ram", options->ram, "RAM (default: this machine's)")->type_name("SIZE");
    command
        ->add_option("--disk", options->disk,
                     "rate of the disk, as 3GB/s, for the decode rate of a model that is larger than RAM")
        ->type_name("RATE");
    command
        ->add_option("--bandwidth", options->ram_bandwidth, "read bandwidth of the RAM, as 60GB/s (default: measured)")
        ->type_name("RATE");
    command
        ->add_option("--vram-bandwidth", options->vram_bandwidth,
                     "read bandwidth of the VRAM (default: the range of cards, 200 to 3350 GB/s)")
        ->type_name("RATE");
    command->add_flag("--hardware", options->hardware,
                      "which placement of each reference model and quantization fits cards of 8 to 80 GiB");
    command
        ->add_option("--trace", options->trace,
                     "recorded routing (--expert-trace): what a cache of experts in VRAM would do for it; FILE is "
                     "optional then")
        ->type_name("FILE");
    command
        ->add_option(
            "--cache-sizes", options->cache_sizes,
            "with --trace: sizes to try, as 2GiB,4GiB (default: 2 to 66% of the experts, and what --vram leaves)")
        ->type_name("SIZES");
    command
        ->add_option("--link-bandwidth", options->link_bandwidth,
                     "with --trace: into the GPU's memory, as 22GB/s (default: 22, assumed)")
        ->type_name("RATE");
    command->add_option("--chart", options->chart, "with --trace: write a chart as SVG (needs gnuplot)")
        ->type_name("FILE");
    add_load_options(*command, options->load);
    add_backend_options(*command, commands.globals());
    add_refused_placement_options(*command, commands.globals());
    command->footer(
        "VRAM is exact if a GPU is present (llama.cpp's own load, without allocating), otherwise modelled; the output "
        "says which. Decode rates are predicted from bytes and bandwidth, never measured. HF_ENDPOINT and HF_TOKEN "
        "are read for --repo.");
}

}  // namespace shimmy::cli
