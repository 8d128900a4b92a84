#include <algorithm>
#include <exception>
#include <memory>
#include <vector>

#include "bindings/array_arguments.hpp"
#include "math/special.hpp"
#include "mixture/maximize.hpp"
#include "mixture/seeds.hpp"

namespace hbm_fast::bindings {
namespace {

using Labels = Contiguous<std::int32_t>;

std::unique_ptr<CountSlots> make_slots(const Integers& values, const Integers& columns, const Integers& offsets,
                                       std::size_t n_categories, const std::optional<Doubles>& weights) {
  const std::size_t n_rows = checked_csr(values, columns, offsets);
  const std::int64_t* const at = values.data();
  for (py::ssize_t i = 0; i < values.size(); ++i) {
    refuse_if(at[i] < 0 || columns.data()[i] < 0 || columns.data()[i] >= static_cast<std::int64_t>(n_categories),
              "a stored count is negative or outside the table");
  }
  if (weights) need_size(*weights, n_rows, "weights");
  std::unique_ptr<CountSlots> result;
  without_gil([&] {
    result = std::make_unique<CountSlots>(
        SparseCounts{at, columns.data(), offsets.data(), n_rows, n_categories, weights ? weights->data() : nullptr},
        poll_signals);
  });
  return result;
}

MixturePrior to_prior(const CountSlots& slots, const AlphaPrior& alpha, const BetaPrior& beta, double weights) {
  refuse_if(beta.fixed || beta.values.size() != slots.n_categories || !(weights > 0.0),
            "the prior of beta must be a Dirichlet over the categories, that of the weights positive");
  return {alpha, beta.values, weights};
}

// (n_starts, C) of log concentrations (n_starts, C, K), which fit the log weights.
std::pair<std::size_t, std::size_t> need_solutions(const CountSlots& slots, const Doubles& log_concentration,
                                                   const Doubles& log_weights) {
  refuse_if(log_concentration.ndim() != 3 || log_weights.ndim() != 2 || extent(log_weights, 1) < 1 ||
                extent(log_concentration, 0) != extent(log_weights, 0) ||
                extent(log_concentration, 1) != extent(log_weights, 1) ||
                extent(log_concentration, 2) != slots.n_categories,
            "log_concentration must have shape (S, C, K) and log_weights (S, C)");
  return {extent(log_weights, 0), extent(log_weights, 1)};
}

// Runs body(s, poll) for each of n solutions, one a chunk.
template <class Body>
void each_solution(std::size_t n, int n_threads, Body&& body) {
  without_gil_polled([&](TimedPoll& poll) {
    parallel_for(n, 1, n_threads, [&](std::size_t s, std::size_t) { body(s, poll); }, [&] { poll(); });
  });
}

py::tuple maximize_all(const CountSlots& slots, Doubles log_concentration, Doubles log_weights, const AlphaPrior& alpha,
                       const BetaPrior& beta, double weights, double tolerance, std::size_t max_iterations,
                       int n_threads) {
  const auto [n, n_components] = need_solutions(slots, log_concentration, log_weights);
  const MixturePrior prior = to_prior(slots, alpha, beta, weights);
  auto value = filled<double>(std::vector<double>(n, -std::numeric_limits<double>::infinity()));
  auto n_iterations = filled<std::int64_t>(std::vector<std::int64_t>(n, 0));
  auto converged = filled<bool>(std::vector<bool>(n, false));
  double *to_a = log_concentration.mutable_data(), *to_weights = log_weights.mutable_data();
  double* const to_value = value.mutable_data();
  std::int64_t* const to_iterations = n_iterations.mutable_data();
  bool* const to_converged = converged.mutable_data();
  const std::size_t size = n_components * slots.n_categories, width = n_components;
  const auto maximize_one = [&, width = width](std::size_t s, TimedPoll& poll) {
    MixtureObjective objective(slots, prior, width);
    MixturePoint point = objective.point();
    objective.read(point, to_a + s * size, to_weights + s * width);
    point.value = -std::numeric_limits<double>::infinity();
    std::exception_ptr failure;
    try {
      const MixtureStop stop = maximize(objective, point, tolerance, max_iterations, poll);
      to_iterations[s] = static_cast<std::int64_t>(stop.n_iterations);
      to_converged[s] = stop.converged;
    } catch (...) {
      failure = std::current_exception();
    }
    objective.write(point, to_a + s * size, to_weights + s * width);
    to_value[s] = point.value;
    if (failure) std::rethrow_exception(failure);
  };
  bool interrupted = false;
  try {
    each_solution(n, n_threads, maximize_one);
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_KeyboardInterrupt)) throw;
    interrupted = true;
  }
  return py::make_tuple(value, n_iterations, converged, interrupted);
}

py::tuple starts(const CountSlots& slots, const Labels& labels, std::size_t n_components, const Doubles& totals,
                 const AlphaPrior& alpha, const BetaPrior& beta, double weights, int n_threads) {
  refuse_if(labels.ndim() != 2 || extent(labels, 1) != slots.n_groups() || totals.size() != labels.shape(0),
            "labels must have shape (S, N) and totals (S,)");
  const std::int32_t* const at = labels.data();
  refuse_if(std::any_of(at, at + labels.size(), [&](std::int32_t z) { return z >= static_cast<int>(n_components); }),
            "a label is not below n_components");
  const MixturePrior prior = to_prior(slots, alpha, beta, weights);
  const std::size_t n = extent(labels, 0), size = n_components * slots.n_categories;
  Doubles log_concentration(std::vector<std::size_t>{n, n_components, slots.n_categories});
  Doubles log_weights(std::vector<std::size_t>{n, n_components});
  double *to_a = log_concentration.mutable_data(), *to_weights = log_weights.mutable_data();
  each_solution(n, n_threads, [&](std::size_t s, TimedPoll& poll) {
    MixtureObjective objective(slots, prior, n_components);
    MixturePoint point = objective.point();
    start_from_labels(objective, at + s * slots.n_groups(), totals.data()[s], point, poll);
    objective.write(point, to_a + s * size, to_weights + s * n_components);
  });
  return py::make_tuple(log_concentration, log_weights);
}

Labels seeds(const CountSlots& slots, const Doubles& uniforms, std::size_t n_candidates, std::size_t n_iterations,
             int n_threads) {
  refuse_if(uniforms.ndim() != 2 || slots.n_groups() == 0 || n_candidates < 1,
            "uniforms must have shape (S, C), groups counts, and a seed a candidate");
  const std::size_t n = extent(uniforms, 0), n_components = extent(uniforms, 1);
  Labels labels(std::vector<std::size_t>{n, slots.n_groups()});
  std::int32_t* const to = labels.mutable_data();
  each_solution(n, n_threads, [&](std::size_t s, TimedPoll& poll) {
    hellinger_labels(slots, n_components, uniforms.data() + s * n_components, n_candidates, n_iterations,
                     to + s * slots.n_groups(), poll);
  });
  return labels;
}

// One component's values of each row, without the padding.
Doubles unpadded(const double* from, std::size_t n_rows, std::size_t n_components, std::size_t stride) {
  Doubles result(std::vector<std::size_t>{n_rows, n_components});
  double* const to = result.mutable_data();
  for (std::size_t i = 0; i < n_rows; ++i) std::copy_n(from + i * stride, n_components, to + i * n_components);
  return result;
}

Doubles log_joint(const CountSlots& slots, const Doubles& log_concentration, const Doubles& log_weights) {
  const auto [n, n_components] = need_solutions(slots, log_concentration, log_weights);
  refuse_if(n != 1, "one solution");
  const MixturePrior prior{AlphaPrior{}, std::vector<double>(slots.n_categories, 1.0), 1.0};
  MixtureObjective objective(slots, prior, n_components);
  MixturePoint point = objective.point();
  objective.read(point, log_concentration.data(), log_weights.data());
  without_gil_polled([&](TimedPoll& poll) { objective.log_joint(point, poll); });
  return unpadded(objective.responsibilities(), slots.n_groups(), n_components, objective.stride());
}

py::tuple information(const CountSlots& slots, const Doubles& log_concentration, const Doubles& log_weights,
                      const AlphaPrior& alpha, const BetaPrior& beta, double weights) {
  const auto [n, n_components] = need_solutions(slots, log_concentration, log_weights);
  refuse_if(n != 1, "one solution");
  const MixturePrior prior = to_prior(slots, alpha, beta, weights);
  MixtureObjective objective(slots, prior, n_components);
  MixturePoint point = objective.point();
  objective.read(point, log_concentration.data(), log_weights.data());
  without_gil_polled([&](TimedPoll& poll) {
    objective.expect(point, poll);
    objective.derive(point, poll);
  });
  const std::size_t stride = objective.stride();
  return py::make_tuple(unpadded(objective.responsibilities(), slots.n_groups(), n_components, stride),
                        unpadded(point.diagonal.data(), slots.n_categories, n_components, stride),
                        unpadded(point.rank_one.data(), 1, n_components, stride), point.value);
}

// Slopes of log p(x_n | a_c) in log a: (R, C, K) at the groups `rows`.
Doubles scores(const CountSlots& slots, const Doubles& log_concentration, const Integers& rows) {
  refuse_if(log_concentration.ndim() != 2 || extent(log_concentration, 1) != slots.n_categories,
            "log_concentration must have shape (C, K)");
  const std::size_t n_components = extent(log_concentration, 0), n_categories = slots.n_categories, n = size_of(rows);
  for (std::size_t i = 0; i < n; ++i) {
    refuse_if(rows.data()[i] < 0 || static_cast<std::size_t>(rows.data()[i]) >= slots.n_groups(), "no such group");
  }
  Doubles result(std::vector<std::size_t>{n, n_components, n_categories});
  double* to = result.mutable_data();
  without_gil_polled([&](TimedPoll& poll) {
    std::vector<double> a(n_components * n_categories), total(n_components, 0.0);
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = std::exp(log_concentration.data()[i]);
      total[i / n_categories] += a[i];
    }
    for (std::size_t i = 0; i < n; ++i) {
      poll();
      const auto g = static_cast<std::size_t>(rows.data()[i]);
      for (std::size_t c = 0; c < n_components; ++c, to += n_categories) {
        const double* const here = a.data() + c * n_categories;
        const double of_total = digamma_difference(total[c], slots.total_values[slots.total_slot[g]]);
        for (std::size_t k = 0; k < n_categories; ++k) to[k] = -here[k] * of_total;
        for (std::size_t j = slots.group_begin[g]; j < slots.group_begin[g + 1]; ++j) {
          const std::uint32_t s = slots.slots[j];
          const std::uint32_t k = slots.slot_category[s];
          to[k] += here[k] * digamma_difference(here[k], slots.values[s]);
        }
      }
    }
  });
  return result;
}

}  // namespace

void register_mixture(py::module_ m) {
  py::class_<CountSlots>(m, "CountSlots")
      .def(py::init(&make_slots), py::arg("values"), py::arg("columns"), py::arg("offsets"), py::arg("n_categories"),
           py::arg("weights"))
      .def_property_readonly("n_groups", &CountSlots::n_groups)
      .def_property_readonly("n_slots", &CountSlots::n_slots)
      .def_readonly("log_coefficient", &CountSlots::log_coefficient)
      .def_readonly("sum_of_weights", &CountSlots::sum_of_weights)
      .def_property_readonly(
          "weights", [](const CountSlots& s) { return filled<double>(s.weights); }, "Multiplicity (N,) of each group.")
      .def_property_readonly(
          "order", [](const CountSlots& s) { return filled<std::int64_t>(s.order); }, "The row of each group.")
      .def_property_readonly(
          "hash", [](const CountSlots& s) { return py::make_tuple(s.hash.high, s.hash.low); },
          "Of the groups, whatever the order of the rows.")
      .def("seeds", &seeds, py::arg("uniforms"), py::arg("n_candidates"), py::arg("n_iterations"), py::arg("n_threads"),
           "Labels (S, N) by k-means++ on the square roots of the proportions; uniforms (S, C).")
      .def("starts", &starts, py::arg("labels"), py::arg("n_components"), py::arg("totals"), py::arg("alpha"),
           py::arg("beta"), py::arg("weights"), py::arg("n_threads"),
           "Log concentrations (S, C, K) and log weights (S, C) of given labels (S, N).")
      .def("maximize", &maximize_all, py::arg("log_concentration"), py::arg("log_weights"), py::arg("alpha"),
           py::arg("beta"), py::arg("weights"), py::arg("tolerance"), py::arg("max_iterations"), py::arg("n_threads"),
           "Moves S solutions to modes in place; returns the values, without the coefficients, the iterations, whether "
           "each converged, and whether Ctrl-C stopped the call.")
      .def("log_joint", &log_joint, py::arg("log_concentration"), py::arg("log_weights"),
           "Log weight plus log likelihood, without the coefficients, (N, C) of one solution (1, C, K).")
      .def("information", &information, py::arg("log_concentration"), py::arg("log_weights"), py::arg("alpha"),
           py::arg("beta"), py::arg("weights"),
           "Responsibilities (N, C), diagonal (K, C) and rank-one factor (1, C) of the complete data's information, "
           "and the value.")
      .def("scores", &scores, py::arg("log_concentration"), py::arg("rows"),
           "Slopes (R, C, K) of the log likelihood of groups in the log concentrations.");
}

}  // namespace hbm_fast::bindings
