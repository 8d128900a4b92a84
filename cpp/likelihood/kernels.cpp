#include "likelihood/kernels.hpp"

#include "core/isa.hpp"

namespace hbm_fast {

#if HBM_FAST_X86_LEVELS
namespace v2 {
extern const LikelihoodKernels likelihood_kernels;
}
namespace v3 {
extern const LikelihoodKernels likelihood_kernels;
}
namespace v4 {
extern const LikelihoodKernels likelihood_kernels;
}
#else
namespace portable {
extern const LikelihoodKernels likelihood_kernels;
}
#endif

const LikelihoodKernels& likelihood_kernels() {
#if HBM_FAST_X86_LEVELS
  static const LikelihoodKernels chosen = [] {
    LikelihoodKernels kernels = isa_level() == IsaLevel::v4   ? v4::likelihood_kernels
                                : isa_level() == IsaLevel::v3 ? v3::likelihood_kernels
                                                              : v2::likelihood_kernels;
    // short tables gain nothing from wider vectors (0.98 x)
    if (isa_level() == IsaLevel::v4) kernels.table = v3::likelihood_kernels.table;
    return kernels;
  }();
  return chosen;
#else
  return portable::likelihood_kernels;
#endif
}

}  // namespace hbm_fast
