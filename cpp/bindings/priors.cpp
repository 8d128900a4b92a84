#include <algorithm>
#include <cmath>

#include "bindings/array_arguments.hpp"

namespace hbm_fast::bindings {

namespace {

// What the densities divide by and the draws need: where it fails a rejection sampler would never end.
void need_parameters(const AlphaPrior& p) {
  const bool two = p.kind == AlphaKind::gamma || p.kind == AlphaKind::log_normal || p.kind == AlphaKind::lomax;
  const bool any_a = p.bounded() || p.kind == AlphaKind::log_normal;
  refuse_if(!std::isfinite(p.a) || !(any_a || p.a > 0.0) || (two && !(p.b > 0.0 && std::isfinite(p.b))) ||
                (p.bounded() && !(p.lower > 0.0 && p.lower < p.upper && std::isfinite(p.upper))),
            "a, b, lower and upper are no parameters of this prior of alpha");
}

}  // namespace

void register_priors(py::module_ m) {
  // Same order as the C++ enumeration; python/hbm_fast/priors.py names its kinds by these.
  py::class_<AlphaPrior>(m, "AlphaPrior")
      .def(py::init([](const std::string& kind, double a, double b, double lower, double upper) {
             static constexpr const char* names[] = {"fixed",       "exponential", "gamma", "log_normal", "half_normal",
                                                     "half_cauchy", "log_uniform", "lomax", "power"};
             for (std::uint8_t i = 0; i < std::size(names); ++i) {
               if (kind != names[i]) continue;
               const AlphaPrior prior{static_cast<AlphaKind>(i), a, b, lower, upper};
               need_parameters(prior);
               return prior;
             }
             throw std::invalid_argument("unknown kind of alpha prior: " + kind);
           }),
           py::arg("kind"), py::arg("a"), py::arg("b"), py::arg("lower"), py::arg("upper"))
      .def("log_density", py::vectorize(&AlphaPrior::log_density), py::arg("log_alpha"),
           "log density of log(alpha), elementwise")
      .def("log_density_slope", py::vectorize(&AlphaPrior::log_density_slope), py::arg("log_alpha"));

  py::class_<BetaPrior>(m, "BetaPrior")
      .def(py::init([](bool fixed, const Doubles& values, const std::optional<AlphaPrior>& concentration) {
             refuse_if(!std::all_of(values.data(), values.data() + values.size(),
                                    [](double b) { return b > 0.0 && std::isfinite(b); }),
                       "the values of a prior of beta must be positive and finite");
             refuse_if(fixed && concentration, "a fixed beta has no concentration");
             return BetaPrior{fixed, std::vector<double>(values.data(), values.data() + values.size()), concentration};
           }),
           py::arg("fixed"), py::arg("values"), py::arg("concentration") = py::none());
}

}  // namespace hbm_fast::bindings
