#include "bindings.hpp"
#include "hbm_fast/sufficient_statistics.hpp"

namespace hbm_fast::bindings {

void register_sufficient_statistics(py::module_& m) {
  py::class_<SufficientStatistics>(m, "SufficientStatistics")
      .def(py::init<std::size_t>(), py::arg("n_categories"))
      .def(
          "add",
          [](SufficientStatistics& self, const py::array& counts) {
            const CountsView view = to_counts(counts);
            const py::gil_scoped_release release;
            self.add(view);
          },
          py::arg("counts"))
      .def("merge", &SufficientStatistics::merge, py::arg("other"))
      .def_property_readonly("n_categories", &SufficientStatistics::n_categories)
      .def_property_readonly("n_groups", &SufficientStatistics::n_groups)
      .def_property_readonly("log_coefficient", &SufficientStatistics::log_coefficient)
      .def(
          "log_likelihood",
          [](const SufficientStatistics& self, const Doubles& concentration, Doubles value, py::object gradient, int n_threads) {
            const std::size_t k = self.n_categories();
            const auto n = static_cast<std::size_t>(value.size());
            if (static_cast<std::size_t>(concentration.size()) != n * k) throw std::invalid_argument("concentration must have shape (S, K)");
            const double* a = concentration.data();
            double* v = value.mutable_data();
            double* g = nullptr;
            if (!gradient.is_none()) {
              auto array = gradient.cast<Doubles>();
              if (static_cast<std::size_t>(array.size()) != n * k) throw std::invalid_argument("gradient must have shape (S, K)");
              g = array.mutable_data();
            }
            const py::gil_scoped_release release;
            parallel_for(n, 64, n_threads, [&](std::size_t begin, std::size_t end) {
              for (std::size_t s = begin; s < end; ++s) v[s] = self.log_likelihood(a + s * k, g ? g + s * k : nullptr);
            }, poll_signals);
          },
          py::arg("concentration").noconvert(), py::arg("value").noconvert(), py::arg("gradient"), py::arg("n_threads"),
          "Writes the log-likelihood without the coefficient, and the gradient unless None.");
}

}  // namespace hbm_fast::bindings
