#pragma once

namespace shimmy {

// "0.2.0"
const char * shimmy_version();

}  // namespace shimmy
