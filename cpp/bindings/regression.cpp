#include "bindings/regression_problem.hpp"
#include "regression/batch.hpp"
#include "regression/intercepts.hpp"
#include "regression/newton.hpp"

namespace hbm_fast::bindings {
namespace {

const char* name_of(Ending ending) {
  switch (ending) {
    case Ending::converged: return "converged";
    case Ending::separated: return "separated";
    case Ending::infinity: return "infinity";
    case Ending::zero: return "zero";
    case Ending::flat: return "flat";
    case Ending::unfinished: return "unfinished";
  }
  return "unfinished";
}

Design to_design(const Doubles& values, const Doubles& unit, std::size_t n_rows) {
  refuse_if(values.ndim() != 2 || extent(values, 0) != n_rows || size_of(unit) != extent(values, 1),
            "a design must have shape (N, P), and its unit P values");
  return {values.data(), extent(values, 1), unit.data()};
}

}  // namespace

void register_regression(py::module_ m) {
  py::class_<Problem> problem(m, "Problem", "A regression of counts (N, K) on a design (N, P).");
  problem
      .def(py::init<const std::string&, Doubles, Doubles, Optional, Optional, Optional, Optional, Optional, Optional>(),
           py::arg("link"), py::arg("counts"), py::arg("design"), py::arg("precision_design") = py::none(),
           py::arg("weights") = py::none(), py::arg("offset") = py::none(), py::arg("precision_offset") = py::none(),
           py::arg("penalty") = py::none(), py::arg("precision_penalty") = py::none())
      .def(
          "derivatives",
          [](const Problem& self, const Doubles& theta, int n_threads) {
            const std::size_t p = self.data.n_parameters();
            need_size(theta, p, "theta");
            std::vector<double> gradient(p);
            std::vector<double> information(p * p);
            double value = 0.0;
            without_gil([&] {
              value = RegressionObjective(self.data, n_threads, poll_signals)
                          .derivatives(theta.data(), gradient.data(), information.data());
            });
            return std::tuple(value, filled<double>(gradient), filled<double>(information, {p, p}));
          },
          py::arg("theta"), py::arg("n_threads"),
          "Value with the coefficient, gradient (p,) and minus the Hessian (p, p).")
      .def(
          "maximize",
          [](const Problem& self, const Doubles& unit, const Doubles& precision_unit, int max_iterations,
             int n_threads) {
            need_size(unit, self.data.n_columns, "unit");
            need_size(precision_unit, self.data.n_precision, "precision_unit");
            RegressionOptimum found;
            without_gil([&] {
              const RegressionObjective objective(self.data, n_threads, poll_signals);
              found = maximize(objective, pooled_start(objective, unit.data(), precision_unit.data()), max_iterations);
            });
            const std::size_t p = found.theta.size();
            return std::tuple(found.value, filled<double>(found.theta), filled<double>(found.information, {p, p}),
                              std::string(name_of(found.ending)), found.n_iterations);
          },
          py::arg("unit"), py::arg("precision_unit"), py::arg("max_iterations"), py::arg("n_threads"),
          "Value, parameters (p,), minus the Hessian (p, p), ending and number of iterations of Newton's method.");
  problem.def(
      "log_coefficient", [](const Problem& self) { return log_coefficient(self.data); },
      "Sum of the logs of the multinomial coefficients.");
  problem.def(
      "marginal",
      [](const Problem& self, const Doubles& theta, const Integers& begins, const Doubles& modes, const Optional& nodes,
         int n_scales, int n_threads) {
        const std::size_t free = self.data.free();
        const std::size_t n_subjects = size_of(begins) - 1;
        const std::size_t p = self.data.n_parameters() + static_cast<std::size_t>(n_scales);
        need_size(theta, p, "theta");
        need_size(modes, n_subjects * free, "modes");
        refuse_if(n_scales != 1 && static_cast<std::size_t>(n_scales) != free, "n_scales must be 1 or J");
        refuse_if(nodes && free != 1, "quadrature is for one intercept a subject");
        refuse_if(begins.data()[0] != 0 || static_cast<std::size_t>(begins.data()[n_subjects]) != self.data.n_rows,
                  "begins must go from 0 to N");
        for (std::size_t s = 0; s < n_subjects; ++s)
          refuse_if(begins.data()[s] > begins.data()[s + 1], "begins must not decrease");
        const SubjectData subjects{self.data,
                                   n_subjects,
                                   begins.data(),
                                   static_cast<std::size_t>(n_scales),
                                   nodes ? size_of(*nodes) / 2 : 0,
                                   nodes ? nodes->data() : nullptr};
        std::vector<double> gradient(p);
        std::vector<double> found(modes.data(), modes.data() + n_subjects * free);
        std::vector<double> covariance(n_subjects * free * free);
        double value = 0.0;
        without_gil([&] {
          value = marginal_likelihood(subjects, theta.data(), gradient.data(), found.data(), covariance.data(),
                                      n_threads, poll_signals);
        });
        return std::tuple(value, filled<double>(gradient), filled<double>(found, {n_subjects, free}),
                          filled<double>(covariance, {n_subjects, free, free}));
      },
      py::arg("theta"), py::arg("begins"), py::arg("modes"), py::arg("nodes"), py::arg("n_scales"),
      py::arg("n_threads"),
      "With random intercepts integrated out: value without the coefficient, gradient (p + n_scales,), modes (S, J) of "
      "the standardised intercepts, and covariance (S, J, J) of the intercepts.");
  m.def(
      "fit_batch",
      [](const Doubles& counts, const Integers& categories, const Doubles& design, const Doubles& unit,
         const Doubles& null_design, const Doubles& null_unit, const Doubles& precision_design,
         const Doubles& precision_unit, const Optional& precision_offset, const Optional& precision_penalty,
         int max_iterations, int n_threads) {
        const std::size_t n = extent(design, 0);
        const std::size_t q = extent(precision_design, 1);
        std::size_t total = 0;
        for (std::size_t b = 0; b < size_of(categories); ++b) {
          refuse_if(categories.data()[b] < 1, "categories must be positive");
          total += n * static_cast<std::size_t>(categories.data()[b]);
        }
        need_size(counts, total, "counts");
        const BatchData batch{size_of(categories),
                              n,
                              counts.data(),
                              categories.data(),
                              to_design(design, unit, n),
                              to_design(null_design, null_unit, n),
                              to_design(precision_design, precision_unit, n),
                              data_of(precision_offset, n, "precision_offset"),
                              data_of(precision_penalty, q * q, "precision_penalty"),
                              max_iterations};
        const auto size = static_cast<py::ssize_t>(batch.n_tables);
        const auto columns = static_cast<py::ssize_t>(q);
        py::array_t<double> value(size);
        py::array_t<double> null_value(size);
        py::array_t<double> precision({size, columns});
        py::array_t<double> information(size);
        py::array_t<std::int64_t> seen(size);
        py::array_t<std::int64_t> ending(size);
        py::array_t<std::int64_t> null_ending(size);
        const BatchResult result{value.mutable_data(),       null_value.mutable_data(), precision.mutable_data(),
                                 information.mutable_data(), seen.mutable_data(),       ending.mutable_data(),
                                 null_ending.mutable_data()};
        without_gil([&] { fit_batch(batch, result, n_threads, poll_signals); });
        return std::tuple(value, null_value, precision, information, seen, ending, null_ending);
      },
      py::arg("counts"), py::arg("categories"), py::arg("design"), py::arg("unit"), py::arg("null_design"),
      py::arg("null_unit"), py::arg("precision_design"), py::arg("precision_unit"), py::arg("precision_offset"),
      py::arg("precision_penalty"), py::arg("max_iterations"), py::arg("n_threads"),
      "Of each table: value, null value, precision coefficients, information of the first, categories with counts, and "
      "the endings of both models.");
  register_regression_sampler(m);
}

}  // namespace hbm_fast::bindings
