#include "core/isa.hpp"

#include <cstdlib>
#include <stdexcept>
#include <string>

namespace hbm_fast {
namespace {

IsaLevel detect() {
#if HBM_FAST_X86_LEVELS
  // Single features, not "x86-64-v3": clang 14 does not accept the names of levels here.
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                  __builtin_cpu_supports("bmi2");
  if (!v3) return IsaLevel::v2;
  const bool v4 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                  __builtin_cpu_supports("avx512vl");
  return v4 ? IsaLevel::v4 : IsaLevel::v3;
#else
  return IsaLevel::portable;
#endif
}

IsaLevel choose() {
  const IsaLevel best = detect();
  const char* cap = std::getenv("HBM_FAST_ISA");
  if (cap == nullptr || *cap == '\0' || best == IsaLevel::portable) return best;
  for (const IsaLevel level : {IsaLevel::v2, IsaLevel::v3, IsaLevel::v4}) {
    if (std::string(cap) == isa_name(level)) return level < best ? level : best;
  }
  throw std::invalid_argument(std::string("the environment variable HBM_FAST_ISA must be v2, v3 or v4; got ") + cap);
}

}  // namespace

IsaLevel isa_level() {
  static const IsaLevel level = choose();
  return level;
}

const char* isa_name(IsaLevel level) {
  switch (level) {
    case IsaLevel::v2: return "v2";
    case IsaLevel::v3: return "v3";
    case IsaLevel::v4: return "v4";
    case IsaLevel::portable: break;
  }
  return "portable";
}

}  // namespace hbm_fast
