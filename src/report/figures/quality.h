// Quality figures of a campaign's models: the documents of `shimmy quality --json` under <out_dir>/quality.
#pragma once

#include "base/files.h"
#include "base/json.h"
#include "lab/measure/summary.h"

#include <map>
#include <string>
#include <vector>

namespace shimmy::report {

// One quantization against the base. Divergences are in nats.
struct QualityFigures {
    std::string quantization;
    std::string sha256;
    double bits_per_weight = 0.0;
    double ppl = 0.0;
    double ppl_error = 0.0;
    double ppl_ratio = 0.0;  // to the base's
    double mean_kld = 0.0;
    double mean_kld_error = 0.0;
    double median_kld = 0.0;
    double kld_p99 = 0.0;
    double max_kld = 0.0;
    double same_top_percent = 0.0;
};

// One file with its experts on the CPU against everything on the device.
struct OffloadFigures {
    std::string quantization;
    double mean_kld = 0.0;
    double mean_kld_error = 0.0;
    double mean_kld_bound = 0.0;  // what rounding explains
    double max_kld = 0.0;
    double same_top_percent = 0.0;
    bool within_bound = false;
};

struct ModelQuality {
    std::string base_file;
    std::string text_file;
    std::string text_sha256;  // empty: it is not said
    int n_chunks = 0;
    int n_ctx = 0;
    std::vector<QualityFigures> files;
    std::vector<OffloadFigures> offload;  // of the files that were checked
    Json document;                        // all of it, for the page
};

class Quality {
public:
    // Reads quality/<model>.json of every model of the summary. A missing file is no error; one that is damaged, or of
    // other files than the campaign measured, throws Error that says how to make it again.
    Quality(const lab::Summary & summary, const fs::path & out_dir);

    // Each is null if there is none.
    const ModelQuality * of(const std::string & model) const;
    const QualityFigures * of(const std::string & model, const std::string & quantization) const;
    const OffloadFigures * offload_of(const std::string & model, const std::string & quantization) const;

    // The command that brings the figures of this model.
    std::string command(const std::string & model) const;

private:
    const lab::Summary & summary_;
    fs::path out_dir_;
    std::map<std::string, ModelQuality> models_;
};

}  // namespace shimmy::report
