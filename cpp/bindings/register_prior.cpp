#include "bindings.hpp"

namespace hbm_fast::bindings {

void register_prior(py::module_& m) {
  // Same order as the C++ enumeration; python/hbm_fast/priors.py names its kinds by these.
  py::class_<AlphaPrior>(m, "AlphaPrior")
      .def(py::init([](const std::string& kind, double a, double b, double lower, double upper) {
             static constexpr const char* names[] = {"fixed",       "exponential", "gamma", "log_normal", "half_normal",
                                                     "half_cauchy", "log_uniform", "lomax", "power"};
             for (std::uint8_t i = 0; i < std::size(names); ++i) {
               if (kind == names[i]) return AlphaPrior{static_cast<AlphaKind>(i), a, b, lower, upper};
             }
             throw std::invalid_argument("unknown kind of alpha prior: " + kind);
           }),
           py::arg("kind"), py::arg("a"), py::arg("b"), py::arg("lower"), py::arg("upper"))
      .def("log_density", py::vectorize(&AlphaPrior::log_density), py::arg("log_alpha"),
           "log density of log(alpha), elementwise")
      .def("log_density_slope", py::vectorize(&AlphaPrior::log_density_slope), py::arg("log_alpha"));

  py::class_<BetaPrior>(m, "BetaPrior")
      .def(py::init([](bool fixed, const Doubles& values) {
             return BetaPrior{fixed, std::vector<double>(values.data(), values.data() + values.size())};
           }),
           py::arg("fixed"), py::arg("values"));
}

}  // namespace hbm_fast::bindings
