#include "bindings/regression_problem.hpp"
#include "regression/sampler.hpp"

namespace hbm_fast::bindings {
namespace {

// The posterior of a regression with its arrays kept alive, and the coordinates in which it is sampled.
struct RegressionPosterior {
  py::object problem;
  std::optional<Integers> subject;
  RegressionDensity density;
  RegressionWhitening whitening;

  RegressionPosterior(const py::object& problem_, double log_normalizer, const std::vector<double>& theta,
                      std::optional<Integers> subject_, std::size_t n_subjects, bool of_all_categories,
                      bool shared_scale, double scale_sd)
      : problem(problem_),
        subject(std::move(subject_)),
        density(
            problem.cast<const Problem&>().data,
            {subject ? n_subjects : 0, subject ? subject->data() : nullptr, of_all_categories, shared_scale, scale_sd},
            log_normalizer) {
    const RegressionData& data = problem.cast<const Problem&>().data;
    refuse_if(data.weights != nullptr, "the samplers take no weights");
    refuse_if(data.link == Link::multinomial, "the samplers take a precision");
    refuse_if(theta.size() != density.n_theta(), "theta has the wrong size");
    if (subject) {
      need_size(*subject, data.n_rows, "subject");
      refuse_if(std::any_of(subject->data(), subject->data() + data.n_rows,
                            [&](std::int64_t s) { return s < 0 || s >= static_cast<std::int64_t>(n_subjects); }),
                "subject must hold numbers below n_subjects");
    }
    without_gil([&] { whitening = whiten(density, theta, poll_signals); });
  }
};

py::dict draw(const RegressionPosterior& self, bool independence, std::size_t n_draws, std::size_t n_chains,
              std::size_t n_warmup, const Words& key, int n_threads, const py::object& progress) {
  const RegressionDensity& density = self.density;
  const std::vector<std::size_t> shape{n_chains, n_draws};
  const std::vector<std::size_t> of_intercepts{n_chains, n_draws, density.n_subjects(), density.n_intercepts()};
  py::dict result;
  const RegressionDraws out{
      .theta = add_array<double>(result, "theta", {n_chains, n_draws, density.n_theta()}),
      .log_scale = add_array<double>(result, "log_scale", {n_chains, n_draws, density.n_scales()}),
      .intercepts = add_array<double>(result, "intercepts", of_intercepts),
      .log_density = add_array<double>(result, "log_density", shape),
      .log_weight = add_array<double>(result, "log_weight", shape),
      .acceptance = add_array<double>(result, "acceptance_rate", shape),
      .step_size = add_array<double>(result, "step_size", shape),
      .n_evaluations = add_array<std::int32_t>(result, "n_steps", shape),
      .diverging = add_array<bool>(result, "diverging", shape)};
  const RegressionSamplerOptions options{{n_chains, n_draws, n_warmup, to_key(key), n_threads}, independence};
  without_gil([&] { sample_regression(density, self.whitening, options, out, poll_with_progress(progress)); });
  return result;
}

// Calls body(density, row, stream, r) for the rows of `common` (R, T), each with a stream of its own.
template <class Body>
void for_each_common(const RegressionPosterior& self, const Doubles& common, const Words& key, int n_threads,
                     const Body& body) {
  const std::size_t size = self.density.n_common();
  refuse_if(common.ndim() != 2 || extent(common, 1) != size, "common must have shape (R, T)");
  const Key words = to_key(key);
  const double* rows = common.data();
  without_gil([&] {
    parallel_for(
        extent(common, 0), 16, n_threads,
        [&](std::size_t begin, std::size_t end) {
          RegressionDensity density = self.density;
          for (std::size_t r = begin; r < end; ++r) {
            Stream stream(words, Site::predictive, 0, r);
            body(density, rows + r * size, stream, r);
          }
        },
        poll_signals);
  });
}

}  // namespace

void register_regression_sampler(py::module_& m) {
  py::class_<RegressionPosterior>(m, "Posterior", "The posterior of a Problem under the normal prior of its penalty.")
      .def(py::init<const py::object&, double, const std::vector<double>&, std::optional<Integers>, std::size_t, bool,
                    bool, double>(),
           py::arg("problem"), py::arg("log_normalizer"), py::arg("theta"), py::arg("subject") = py::none(),
           py::arg("n_subjects") = 0, py::arg("of_all_categories") = false, py::arg("shared_scale") = false,
           py::arg("scale_sd") = 1.0)
      .def(
          "log_density",
          [](const RegressionPosterior& self, const Doubles& y) {
            need_size(y, self.density.dimension(), "y");
            RegressionDensity density = self.density;
            std::vector<double> gradient(density.dimension());
            const double value = density.value(y.data(), gradient.data());
            return std::tuple(value, filled<double>(gradient));
          },
          py::arg("y"), "With every constant, and its gradient: theta, scales of either sign, standardised intercepts.")
      .def(
          "subject_log_likelihood",
          [](const RegressionPosterior& self, const Doubles& common, const std::vector<double>& nodes,
             const std::vector<double>& weights, const Words& key, int n_threads) {
            refuse_if(nodes.size() != weights.size(), "nodes and weights must agree");
            const std::size_t n_subjects = self.density.n_subjects();
            Doubles result(std::vector<std::size_t>{extent(common, 0), n_subjects});
            double* to = result.mutable_data();
            for_each_common(self, common, key, n_threads,
                            [&](RegressionDensity& density, const double* row, Stream& stream, std::size_t r) {
                              density.subject_log_likelihood(row, nodes, weights, stream, to + r * n_subjects);
                            });
            return result;
          },
          py::arg("common"), py::arg("nodes"), py::arg("weights"), py::arg("key"), py::arg("n_threads"),
          "Of each subject (R, S), with its random intercepts integrated out.")
      .def(
          "marginal",
          [](const RegressionPosterior& self, const Doubles& common, const std::vector<double>& nodes,
             const std::vector<double>& weights, const Words& key, int n_threads) {
            refuse_if(nodes.size() != weights.size(), "nodes and weights must agree");
            Doubles result(std::vector<std::size_t>{extent(common, 0)});
            double* to = result.mutable_data();
            for_each_common(self, common, key, n_threads,
                            [&](RegressionDensity& density, const double* row, Stream& stream, std::size_t r) {
                              to[r] = density.marginal(row, nodes, weights, stream);
                            });
            return result;
          },
          py::arg("common"), py::arg("nodes"), py::arg("weights"), py::arg("key"), py::arg("n_threads"),
          "The log density (R,) of theta and log scales, with the random intercepts integrated out.")
      .def_property_readonly(
          "centre", [](const RegressionPosterior& self) { return filled<double>(self.whitening.centre); },
          "Where the whitened coordinates are 0.")
      .def("sample", &draw, py::arg("independence"), py::arg("n_draws"), py::arg("n_chains"), py::arg("n_warmup"),
           py::arg("key"), py::arg("n_threads"), py::arg("progress"),
           "Draws (C, D) by HMC, or by independence Metropolis steps with the weights of their proposals.");
}

}  // namespace hbm_fast::bindings
