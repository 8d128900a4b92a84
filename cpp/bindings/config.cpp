#include "bindings/array_arguments.hpp"
#include "core/isa.hpp"

namespace hbm_fast::bindings {

void register_config(py::module_ m) {
  m.attr("version") = HBM_FAST_VERSION;
  m.attr("stream_version") = stream_version;
  m.attr("compiler") = __VERSION__;
  m.def("isa_level", [] { return isa_name(isa_level()); }, "The instruction-set level the hot loops run at.");
}

}  // namespace hbm_fast::bindings
