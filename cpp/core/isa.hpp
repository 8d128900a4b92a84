// The instruction-set level the hot loops run at, chosen once.
#pragma once

namespace hbm_fast {

enum class IsaLevel { portable = 0, v2 = 2, v3 = 3, v4 = 4 };

// The best level that this CPU and this build have, capped by the environment variable HBM_FAST_ISA (v2, v3 or v4).
// Read once, at first use. Throws std::invalid_argument for an unknown cap.
IsaLevel isa_level();

const char* isa_name(IsaLevel level);

}  // namespace hbm_fast
