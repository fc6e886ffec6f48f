// A model's chat template is a program that its file brings along: tried before the model is loaded with it.
#pragma once

#include "serve/wire/model.h"

namespace shimmy::serve::worker {

// Renders with the template of the options, or of the file, what llama.cpp's server renders with it when it loads the
// model, where nothing could end one without end. What else is wrong with the template, loading says.
void try_chat_template(ModelOptions & options);

}  // namespace shimmy::serve::worker
