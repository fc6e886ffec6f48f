// shimmy plan: what a model would take, before it is downloaded or quantized.
#include "base/error.h"
#include "base/text/units.h"
#include "cli/command.h"
#include "cli/llama_options.h"
#include "cli/placement_options.h"
#include "cli/plan/hardware.h"
#include "cli/plan/limits.h"
#include "cli/plan/plan_document.h"
#include "cli/plan/source.h"
#include "cli/plan/trace.h"
#include "engine/layout/quantization.h"

#include <algorithm>
#include <memory>

namespace shimmy::cli {

namespace {

struct PlanArguments {
    SourceOptions source;
    LimitOptions limits;
    std::string disk;
    std::string link_bandwidth;
    std::string trace;
    std::string cache_sizes;
    std::string chart;
    bool hardware = false;
    bool all = false;
    engine::LoadOptions load;
    LlamaOptions llama;
};

QuantizationNeed need_of(const engine::StandIn & model, engine::LoadOptions load, const Plan & plan) {
    load.path = model.path().string();
    const auto extremes = engine::estimate_extremes(load, plan.limits.ram, plan.limits.vram, plan.limits.gpus());
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
    if (!options.disk.empty()) plan.disk_bytes_per_s = parse_bandwidth(options.disk, "--disk").low;
    if (!plan.info.cpu_moe_applies()) return;
    const engine::PlacementEstimate & offload = plan.placements.back();
    const uint64_t in_ram = plan.limits.cards.empty() ? plan.info.tensor_bytes : offload.host.model_bytes;
    plan.disk = engine::plan_disk(offload, engine::token_bytes(*load.file, offload.n_cpu_moe), plan.info.expert_bytes,
                                  in_ram - std::min(in_ram, plan.info.expert_bytes), plan.limits.ram_bytes,
                                  plan.disk_bytes_per_s.value_or(0.0));
}

Plan make_plan(const PlanArguments & options, const Globals & globals) {
    const Source source = find_source(options.source, globals);
    const std::string & wanted = options.source.quantization;
    const std::string quantization = wanted.empty() ? "" : engine::canonical_quantization(wanted);
    check_quantization(source, quantization);
    const auto model = source.stand_in(quantization);
    Plan plan;
    plan.limits = find_limits(options.limits);
    plan.source = source.text;
    plan.quantization = model->quantization();
    const bool as_is = !source.file.empty() && plan.quantization == source.file_quantization;
    plan.disk_bytes = as_is ? source.file_bytes : model->size_bytes();
    plan.fetched_bytes = source.remote ? source.remote->fetched_bytes() : 0;

    engine::LoadOptions load = options.load;
    load.path = model->path().string();
    load.name = source.text;
    load.device = plan.limits.load_device;
    plan.info = gguf::read_model_info(load.open_file());
    plan.n_ctx = static_cast<int>(engine::context_size(load, static_cast<uint32_t>(plan.info.n_ctx_train)));
    plan.placements = engine::estimate_placements(load, plan.limits.ram, plan.limits.vram, plan.limits.gpus());
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
int run_trace_plan(const PlanArguments & options, const Globals & globals) {
    TraceOptions trace;
    trace.file = options.trace;
    trace.cache_sizes = options.cache_sizes;
    trace.chart = options.chart;
    Limits limits;
    if (!options.source.is_given()) {
        if (!options.limits.vram.empty()) fail_usage("--vram with --trace needs the model: MODEL, --shape or --repo");
        limits = find_limits(options.limits);
    } else {
        const Plan plan = make_plan(options, globals);
        limits = plan.limits;
        const engine::PlacementEstimate & offload = plan.placements.back();
        if (!limits.cards.empty()) trace.vram_bytes = limits.usable_vram_bytes();
        trace.other_vram_bytes = offload.vram.total_bytes();
        trace.n_expert = static_cast<int>(plan.info.n_expert);
        trace.n_layer = static_cast<int>(plan.info.n_layers);
        if (plan.disk) trace.disk = {plan.disk->expert_ram_bytes, offload.decode.high_tps, plan.disk_bytes_per_s};
        trace.machine.rest_s = static_cast<double>(offload.vram.model_bytes) / single(limits.vram);
    }
    trace.machine.ram_bytes_per_s = limits.ram.low;
    trace.machine.vram_bytes_per_s = single(limits.vram);
    trace.machine.link_bytes_per_s = options.link_bandwidth.empty()
                                         ? ASSUMED_LINK_BANDWIDTH
                                         : parse_bandwidth(options.link_bandwidth, "--link-bandwidth").low;
    trace.machine_text =
        fmt::format("RAM {:.1f} GB/s ({}), VRAM {:.0f} GB/s ({}), link {:.1f} GB/s ({})", limits.ram.low / 1e9,
                    limits.ram.source, trace.machine.vram_bytes_per_s / 1e9, limits.vram.source,
                    trace.machine.link_bytes_per_s / 1e9, options.link_bandwidth.empty() ? "assumed" : "given");
    return print_trace_plan(trace, globals.json);
}

int run_hardware_guide(const PlanArguments & options, bool json) {
    const SourceOptions & source = options.source;
    const LimitOptions & limits = options.limits;
    if (!source.model.empty() || !source.repo.empty() || !source.quantization.empty() || !limits.vram.empty() ||
        !limits.cards.empty())
        fail_usage(
            "--hardware shows the reference models on several cards: it takes no MODEL, --repo, --quant, --card or "
            "--vram");
    const engine::Device device = engine::find_device(limits.device);
    HardwareOptions guide;
    guide.load = options.load;
    guide.load.device = device.is_gpu() ? device.name : engine::MODELLED_CUDA;
    guide.exact = device.is_gpu();
    guide.device_name = device.name;
    if (!source.shape.empty()) guide.shapes = {source.shape};
    if (!limits.reserve.empty()) guide.vram_reserve_bytes = parse_bytes(limits.reserve, "--reserve");
    if (!limits.ram.empty()) guide.ram_limit_bytes = parse_memory_size(limits.ram, "--ram");
    return print_hardware_guide(guide, json);
}

int run_plan(PlanArguments options, const Globals & globals) {
    if (globals.cpu_moe || globals.n_cpu_moe || globals.placement)
        fail_usage("plan shows every placement: leave out --placement, --cpu-moe and --n-cpu-moe");
    load_backends(globals, options.load.device);
    options.limits.device = options.load.device;
    options.load.llama_args = llama_args(options.llama, globals, engine::LlamaUse::server);
    options.load.measures_speculation = measures_speculation(options.llama);
    options.load.serves = options.load.n_parallel > 1;
    if (options.hardware) return run_hardware_guide(options, globals.json);
    if (!options.trace.empty()) return run_trace_plan(options, globals);
    if (!options.cache_sizes.empty() || !options.chart.empty() || !options.link_bandwidth.empty())
        fail_usage("--cache-sizes, --chart and --link-bandwidth belong to --trace");
    const Plan plan = make_plan(options, globals);
    if (globals.json) {
        fmt::print("{}\n", json_text(to_json(plan)));
    } else {
        fmt::print("{}", to_text(plan, options.all));
    }
    return 0;
}

void add_source_options(CLI::App & command, SourceOptions & source) {
    command
        .add_option(
            "model,--model", source.model,
            "GGUF file (of a split model, its first part), a name from `shimmy list`, or one on the Hub, of which "
            "only the header is read: hf:USER/NAME[:QUANT]")
        ->type_name("FILE|NAME");
    command.add_option("--shape", source.shape, "reference shape or a TOML file instead of a model")
        ->type_name("NAME|SPEC.toml");
    command.add_option("--repo", source.repo, "repository on the Hugging Face Hub: what --quant can be made from, too")
        ->type_name("USER/NAME");
    command.add_option("--quant", source.quantization, "quantization (default: the file's or the shape's own)")
        ->type_name("TYPE");
}

void add_limit_options(CLI::App & command, LimitOptions & limits, std::string & disk) {
    command.add_option("--card", limits.cards, "card by name, as rtx-4060; several: rtx-4060,rtx-3090")
        ->type_name("NAME[,NAME]");
    command
        .add_option("--vram", limits.vram,
                    "memory of the card (default: what is free on this machine's); of several: 12GiB,8GiB")
        ->type_name("SIZE[,SIZE]");
    command
        .add_option("--reserve", limits.reserve,
                    "VRAM to keep free for the driver and a display (default: 512 MiB, or 5% of a larger card)")
        ->type_name("SIZE");
    command.add_option("--ram", limits.ram, "RAM (default: this machine's)")->type_name("SIZE");
    command
        .add_option("--disk", disk,
                    "rate of the disk, as 3GB/s, for the decode rate of a model that is larger than RAM")
        ->type_name("RATE");
    command.add_option("--bandwidth", limits.ram_bandwidth, "read bandwidth of the RAM, as 60GB/s (default: measured)")
        ->type_name("RATE");
    command
        .add_option("--vram-bandwidth", limits.vram_bandwidth,
                    "read bandwidth of the VRAM (default: that of --card, or the range of cards of this size)")
        ->type_name("RATE");
}

}  // namespace

void add_plan(Commands & commands) {
    auto options = std::make_shared<PlanArguments>();
    CLI::App * command =
        commands.add("plan", "predict VRAM, RAM, disk and decode rate of every placement, before downloading anything",
                     [options, &commands] { return run_plan(*options, commands.globals()); });
    add_source_options(*command, options->source);
    add_limit_options(*command, options->limits, options->disk);
    command->add_flag("--all", options->all, "show every placement, not only those next to the best");
    command->add_flag("--hardware", options->hardware,
                      "which placement of each reference model and quantization fits cards of 8 to 80 GiB");
    command
        ->add_option(
            "--trace", options->trace,
            "recorded routing (--expert-trace): what a cache of experts in VRAM would do for it, and what a model "
            "larger than RAM would read from disk; a model is optional then")
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
    add_model_dirs_option(*command, commands.globals());
    add_load_options(*command, options->load);
    add_batch_options(*command, options->load);
    add_parallel_option(*command, options->load);
    add_llama_options(*command, options->llama, engine::LlamaUse::server);
    add_speculation_options(*command, options->llama);
    commands.take_llama_args(*command);
    add_backend_options(*command, commands.globals());
    add_refused_placement_options(*command, commands.globals());
    command->footer(
        "VRAM is exact if a GPU is present (llama.cpp's own load, without allocating), otherwise modelled; the output "
        "says which. Decode rates are predicted from bytes and bandwidth, never measured. HF_ENDPOINT and HF_TOKEN "
        "are read for models on the Hub.");
}

}  // namespace shimmy::cli
