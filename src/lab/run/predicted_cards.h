// Which placement of every model file fits which card, for the hardware guides of the documents.
#pragma once

#include "lab/measure/summary.h"

namespace shimmy::lab {

// Writes <out_dir>/hardware/<model>.json for every model: n_ctx, vram_method, and for each file its quantization,
// sha256 and `cards` (engine::fit_cards, however much RAM there is), or `error`. VRAM is llama.cpp's own load without
// allocating, on a modelled CUDA card, with a context of 4096 tokens or what the model was trained for. What stands
// there of the same files is kept, as is that of files that are gone. One load for each layer: that takes a while for a
// file of many, so that it is shown unless `quiet`.
void predict_cards(const Summary & summary, bool quiet);

}  // namespace shimmy::lab
