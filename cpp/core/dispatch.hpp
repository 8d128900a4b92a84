// Chooses a kernel's code for the instruction-set level of this process. A file named *.isa.cpp is compiled once for
// each level, into the namespace HBM_LEVEL; one named *.isa-v3.cpp gains nothing from wider vectors and has the code of
// v3 for v4 (cmake/isa_levels.cmake). Its header declares what it defines:
//
//   HBM_KERNEL(const SimulateKernels, simulate_kernels)   // v2::simulate_kernels, v3::..., and simulate_kernels()
//
// Type is a table of functions, or a function's type; the function declared returns a reference to the level's own.
#pragma once

#include "core/isa.hpp"

#if HBM_FAST_X86_LEVELS
#define HBM_KERNEL(Type, name)            \
  namespace v2 {                          \
  extern Type name;                       \
  }                                       \
  namespace v3 {                          \
  extern Type name;                       \
  }                                       \
  namespace v4 {                          \
  extern Type name;                       \
  }                                       \
  inline Type& name() {                   \
    switch (isa_level()) {                \
      case IsaLevel::v4: return v4::name; \
      case IsaLevel::v3: return v3::name; \
      default: return v2::name;           \
    }                                     \
  }
#else
#define HBM_KERNEL(Type, name) \
  namespace portable {         \
  extern Type name;            \
  }                            \
  inline Type& name() { return portable::name; }
#endif
