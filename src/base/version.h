#pragma once

namespace shimmy {

// "0.1.0"
const char * shimmy_version();

}  // namespace shimmy
