"""CSVAE by likelihood: an autoencoder, and an invertible map of its code to (z, w_1 … w_k). No adversary.

docs/flow-csvae.md derives the objective from the paper's M1.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, softplus

from models import networks, wearing
from models.erasure import linear_shift
from models.evenly import evenly
from models.flow import Flow, split
from models.freezing import frozen
from models.guessing import guessed, one_at_most
from models.kind import CRITIC, MAP, Codes, Kind, Reduction, Rows, gaussian, signed
from models.likeness import log_error, log_feature_error
from models.priors import (
    ClassGaussians,
    class_weights,
    kl_bernoulli,
    known_cross_entropy,
    label_log_odds,
    log_class_prior,
    log_normal,
    per_label,
    sample,
)
from models.readers import MAKES, Reader, read_by_shares
from models.regions import around, occlusion, outside, reach
from models.styles import alike, combinations, contrast, partners

READER, AUTOENCODER, PLAIN_READER, EDITS = "reader", "autoencoder", "plain-reader", "edits"

_CHUNK, _CONTRASTED, _LOOKED_AT, _MEASURED = 256, 4000, 100, 16
"""Pictures at a time; how many with and without a label tell its styles; how many show where it is, and what
a change of the code changes.
"""

_PLAIN_SEED = 1
"""What the plain reader's seed is more than the training's."""

_FREE, _CLEAR = 0.4, 0.95
"""The share of edits that take a style of nobody, and the probability with which those are to be seen."""


class FlowCSVAE(Kind):
    """s ~ q(s|x), p(x|s); (z, w) = f(s); p(z) = N(0, I), p(w|y) = Π p(w_i|y_i) with learnt Gaussians.

    f does not see labels: that z says nothing of y, and w_i nothing of y_j, is what the likelihood
    −log p(s|y) = −log N(z; 0, I) − Σ log p(w_i|y_i) − log|det f′| asks for.

    Three groups, each trained in a stage of its own: a `reader` of labels from pictures, whose features tell
    the autoencoder what matters to the eye (none for points); the `autoencoder`; the `map`. Where styles are
    edited a `critic` is trained beside the map, and tells it what gives exchanged styles away; and a last
    stage, `edits`, lets the decoder draw edits too, with everything else at rest. Between these two another
    reader may be taught, with pictures as they are (`plain-reader`): so are those who will judge the edits.
    Further readers, of other makes, are taught with it, and all of them hold what edits leave alone.
    """

    undisturbed = (PLAIN_READER, EDITS)
    for_training = (
        "reader.",
        "further_readers.",
        "critic.",
        "log_var_head.",
        "style_heads.",
        "contrast_",
        "beyond_",
        "weight",
    )

    columns: Tensor
    """Which numbers of (z, w) are w_i, bool labels×code_dim."""

    log_odds: Tensor
    weight: Tensor
    weight_known: Tensor

    def __init__(
        self,
        *,
        shape: Sequence[int],
        labels: int,
        network: networks.NetworkName = "large",
        latent_dim: int = 64,
        w_dims: Sequence[int] = (),
        reduction: Reduction = "sum",
        styled: int = 0,
        exclusive: bool = False,
        code_noise: float = 0.05,
        several_readers: bool = False,
    ) -> None:
        """latent_dim: of z; the code s has latent_dim + Σ w_dims dimensions.

        exclusive: exactly one of the labels is present.
        styled: the first so many labels are edited: their W_i must tell their styles (pictures only).
        code_noise: the standard deviation of the noise on s (in units of its own principal deviations) that
        the map is trained with.
        several_readers: whether readers of all `MAKES` hold edits, too.
        """
        super().__init__(shape, labels, latent_dim, reduction)
        self.w_dims = tuple(w_dims) or (2,) * labels
        self.exclusive = exclusive
        self.code_noise = code_noise
        self.code_dim = latent_dim + sum(self.w_dims)
        self.owners = {"kl_s": AUTOENCODER, "recon": AUTOENCODER, "nll": MAP, "label": MAP}
        self.trunk, features = networks.trunk(network, shape)
        self.mu_head, self.log_var_head = networks.gaussian_heads(features, self.code_dim)
        self.decoder = networks.decoder(network, self.code_dim, shape)
        self.reader = Reader(shape, labels) if len(shape) == 3 else None
        if self.reader is not None:
            self.owners |= {"reading": READER, "features": AUTOENCODER}
        self.styled = range(styled if self.reader is not None else 0)
        features = 0 if self.reader is None else self.reader.coarse_features
        if self.styled:
            self.owners |= {"style": MAP, "outside": MAP, "natural": MAP, "critic": CRITIC}
            if not exclusive:  # where an edit is to change the others
                self.owners |= {"seen": AUTOENCODER, "hold": AUTOENCODER, "shown": AUTOENCODER}
        for i in self.styled:
            self.register_buffer(f"beyond_{i}", torch.eye(self.code_dim) / (2 * self.code_dim))
            self.register_buffer(f"contrast_{i}", torch.zeros(features, self.w_dims[i]))
            self.register_buffer(f"contrast_offset_{i}", torch.zeros(self.w_dims[i]))
        self.style_heads: Sequence[nn.Linear] = nn.ModuleList(  # type: ignore[assignment]
            nn.Linear(self.w_dims[i], self.w_dims[i]) for i in self.styled
        )
        ends = self.latent_dim + torch.tensor([0, *self.w_dims]).cumsum(0)
        place = torch.arange(self.code_dim)
        columns = [(place >= ends[i]) & (place < ends[i + 1]) for i in range(labels)]
        self.register_buffer("columns", torch.stack(columns), persistent=False)
        self.flow = Flow(self.code_dim)
        self.critic = networks.Critic(self.code_dim, labels) if self.styled else None
        self.priors: Sequence[ClassGaussians] = nn.ModuleList(  # type: ignore[assignment]
            ClassGaussians(dim) for dim in self.w_dims
        )
        self.register_buffer("log_odds", torch.zeros(labels))
        self.register_buffer("weight", torch.ones(2, labels))
        self.register_buffer("weight_known", torch.ones(labels))
        makes = MAKES if several_readers and "hold" in self.owners else {}
        self.further_readers = nn.ModuleDict(
            {name: make.network(shape, labels) for name, make in makes.items()}
        )

    def groups(self) -> Mapping[str, list[nn.Parameter]]:
        parts = {
            AUTOENCODER: [self.trunk, self.mu_head, self.log_var_head, self.decoder],
            MAP: [self.flow, *self.priors, *self.style_heads],
        }
        groups = {
            name: [p for module in modules for p in module.parameters()] for name, modules in parts.items()
        }
        if self.critic is not None:
            groups[CRITIC] = list(self.critic.parameters())
        readers = [p for reader in self._readers() for p in reader.parameters()]
        return {READER: readers, **groups} if readers else groups

    def _readers(self) -> list[nn.Module]:
        """The reader, first, and all further ones; none for points."""
        return [] if self.reader is None else [self.reader, *self.further_readers.values()]

    def begun_with(self, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The encoder and decoder of the other, for a new map to be learnt on them; the rest is its own.

        And its reader, but for a last layer of another number of labels: its features tell the styles.
        """
        own = self.state_dict()
        parts = ("trunk", "mu_head", "log_var_head", "decoder", "reader")
        taken = {
            name: tensor
            for name, tensor in weights.items()
            if name.partition(".")[0] in parts and name in own and own[name].shape == tensor.shape
        }
        return {**own, **taken}

    def train(self, mode: bool = True) -> "FlowCSVAE":
        """What only looks stays in eval mode: the reader, and the encoder once the map is learnt for it."""
        super().train(mode)
        self.trunk.train(mode and self.stage in (None, AUTOENCODER))
        if self.reader is not None:
            self.reader.train(mode and self.stage in (None, READER, PLAIN_READER))
        self.further_readers.train(mode and self.stage == PLAIN_READER)
        return self

    def begin_stage(self, seed: int) -> Sequence[str]:
        """New readers are taught for the edits: they see what the one before lets pass."""
        if self.stage != PLAIN_READER or self.reader is None:
            return ()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed + _PLAIN_SEED)
            fresh: list[nn.Module] = [Reader(self.shape, self.labels)]
            fresh += [MAKES[name].network(self.shape, self.labels) for name in self.further_readers]
        for reader, new in zip(self._readers(), fresh, strict=True):
            reader.load_state_dict(new.state_dict())
        return (READER,)

    def encode(self, x: Tensor, y: Tensor | None = None) -> Codes:  # noqa: ARG002 (the map is blind to labels)
        z, w = split(self.flow.map(self.mu(x)), self.w_dims)
        return Codes(z, torch.full_like(z, -torch.inf), w, tuple(torch.full_like(v, -torch.inf) for v in w))

    def decode(self, z: Tensor, w: Sequence[Tensor]) -> Tensor:
        x: Tensor = self.decoder(self.flow.inverse(torch.cat([z, *w], dim=1)))
        return x

    def mu(self, x: Tensor) -> Tensor:
        """mu of q(s|x), N×code_dim, in float32."""
        mu: Tensor = self.mu_head(self.trunk(x)).float()
        return mu

    def code(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(mu, log_var) of q(s|x), N×code_dim each, in float32."""
        features = self.trunk(x)
        return gaussian(torch.cat([self.mu_head(features), self.log_var_head(features)], dim=1))

    def terms(self, x: Tensor, y: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:
        """Of the stage's group; of all groups where `stage` is not set.

        reading: cross-entropy of the readers; recon: −log p(x|s) of a Gaussian whose variance is the best one
        for the batch (Rybkin et al. 2021), up to a constant; features: the same over the reader's features,
        as if they were as many numbers as the picture's; kl_s: KL(q(s|x) || N(0, I)); nll, label …: see
        `map_terms`; seen, hold, shown: see `edit_terms`.
        """
        if self.stage == EDITS:
            return self.edit_terms(x, y, noise)
        terms: dict[str, Tensor] = {}
        if self.reader is not None and self.stage in (None, READER, PLAIN_READER):
            terms["reading"] = self._reading(x, y, noise)
        if self.stage in (READER, PLAIN_READER):
            return terms
        mu, log_var = self.code(x)
        x_hat = self.decoder(sample(mu, log_var, noise))
        terms |= self._pictured(x_hat, x, y)
        terms["kl_s"] = self.kl_standard(mu, log_var)
        if self.stage is None:
            with torch.no_grad():
                codes = self.map_input(x, self.mu(x))
            terms |= self.map_terms(codes, y, noise)
            if "hold" in self.owners:
                edits = self.edit_terms(x, y, noise)
                terms |= {name: edits[name] for name in ("seen", "hold", "shown")}
        return terms

    def _reading(self, x: Tensor, y: Tensor, noise: torch.Generator | None) -> Tensor:
        """The mean cross-entropy of those who are taught, each of pictures changed as its make wants."""
        assert self.reader is not None
        logits = [self.reader.logits(x)]
        for name, reader in self.further_readers.items() if self.stage == PLAIN_READER else ():
            with torch.autocast(x.device.type, enabled=False):
                shown = MAKES[name].change(x, noise)
            logits.append(reader(shown))
        weight = self._per_known(y)
        return torch.stack([known_cross_entropy(each.float(), y, weight) for each in logits]).mean()

    def map_input(self, x: Tensor, codes: Tensor) -> Tensor:
        """What the map learns from: mu of q(s|x), and the styles that the reader's features tell.

        N×(code_dim + Σ d_i of the styled labels), float32.
        """
        parts = [codes]
        if self.styled:
            features = self.style_features(x)
            with torch.autocast(x.device.type, enabled=False):
                for i in self.styled:
                    matrix, offset = (self.get_buffer(f"contrast_{part}{i}") for part in ("", "offset_"))
                    parts.append(features @ matrix + offset)
        return torch.cat(parts, dim=1)

    def style_features(self, x: Tensor) -> Tensor:
        """The reader's coarse features, flat, N×D in float32."""
        assert self.reader is not None
        features: Tensor = self.reader(x)[-1].float().flatten(1)
        return features

    def map_terms(self, codes: Tensor, y: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:
        """Of `map_input`, with the noise on s added here.

        nll: −log p(s|y), an unknown label marginalised; label: −Σ log p(y_i|w_i), rare labels weighing as
        much as common ones (but none more than four times), and more where few are known; style:
        −log N(t_i; h_i(w_i), I) up to its constant, of those who have label i and summed over the styled
        labels: without it the likelihood may as well leave a style t_i in z. outside, natural, critic: see
        `_exchange_terms`.
        """
        s, styles = codes[:, : self.code_dim], codes[:, self.code_dim :]
        if self.code_noise:
            epsilon = torch.randn(s.shape, generator=noise, device=s.device)
            s = s + self.code_noise * (self.flow.coloured(epsilon) - self.flow.mean)
        # On a GPU such small products gain nothing by it.
        lowered = s.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        u, log_det = self.flow(s, lowered)
        z, w = split(u, self.w_dims)
        log_w = log_class_prior(self.priors, w, y, self.log_odds, exclusive=self.exclusive)
        nll = -(log_normal(z, 0.0, 1.0).sum(1) + log_w + log_det).mean()
        terms = {
            "nll": nll if self.reduction == "sum" else nll / self.code_dim,
            "label": known_cross_entropy(self.label_logits(w), y, self._per_known(y)),
        }
        if self.styled:
            with torch.autocast(s.device.type, enabled=False):
                terms["style"] = self._style(w, styles, y)
                terms |= self._exchange_terms(s, u, y, noise, lowered)
        return terms

    def _style(self, w: Sequence[Tensor], styles: Tensor, y: Tensor) -> Tensor:
        true = torch.split(styles, [self.w_dims[i] for i in self.styled], dim=1)
        each = [
            _over(y[:, i] == 1, 0.5 * (head(w[i]) - true_i).square().sum(1))
            for i, head, true_i in zip(self.styled, self.style_heads, true, strict=True)
        ]
        return torch.stack(each).sum()

    def _exchange_terms(
        self, s: Tensor, u: Tensor, y: Tensor, noise: torch.Generator | None, lowered: bool
    ) -> dict[str, Tensor]:
        """Of people who take from others alike in the kept labels; label i is drawn anew for every batch.

        outside: what changes outside the region of label i as they are `wearing` the style of one who has not
        the same label i, as a share q of what two people differ by there, log(1 + q). Without it W_i takes
        whatever varies most, as the light of the picture. critic: how well it tells codes with the w_i of
        another, whoever it is (and with that label i; of exclusive labels one who has the same), from the
        pictures' own, its cross-entropy. natural:
        −log p of the critic's taking them for the pictures' own.
        """
        assert self.critic is not None
        i = self._one_styled(noise, s.device)
        peers, w = self._alike(y), split(u, self.w_dims)[1]
        has, unlike = self._unlike(i, y, w, peers, noise)
        if self.exclusive:  # with another's label, nobody has just one
            peers = peers & (has == has.T)
        giver = partners(peers.fill_diagonal_(False), noise)
        edited = self._worn(i, u, [w[j][unlike] for j in self.styled])
        codes = self.flow.inverse(torch.cat([edited, torch.where(self.columns[i], u[giver], u)]), lowered)
        own, edited, exchanged = self.flow.whitened(torch.cat([s, codes])).chunk(3)
        moved = edited - own
        metric = torch.stack([self.get_buffer(f"beyond_{j}") for j in self.styled])[i][0]
        of_all = signed(y)
        labels = torch.where(torch.arange(self.labels, device=y.device) == i, of_all[giver], of_all)
        with frozen(self.critic):
            natural = softplus(-self.critic(exchanged, labels)).mean()
        of_own = softplus(-self.critic(own.detach(), of_all)).mean()
        of_exchanged = softplus(self.critic(exchanged.detach(), labels)).mean()
        return {
            # The logarithm, or one pair that is thrown far off decides about the step of all.
            "outside": ((moved @ metric) * moved).sum(1).log1p().mean(),
            "natural": natural,
            "critic": of_own + of_exchanged,
        }

    def edit_terms(self, x: Tensor, y: Tensor, noise: torch.Generator | None) -> dict[str, Tensor]:
        """Of pictures and of an edit of each, of one styled label drawn anew for every batch.

        The edit takes the w_i of another who is alike in the kept labels and has not the same label i; or
        (two in five) a style of the prior's, clearly so; of those to whom nobody is alike, nothing.
        recon, features: as in `terms`, from mu. seen: KL, over all labels, from what the reader sees in the
        picture to what it sees in it as it is decoded. hold: of all other labels, from the latter to what it
        sees in the edit. shown: the same of label i, from what is seen in the giver, or from 0.95 and 0.05.
        Of several readers each looks at its share of the people.
        """
        i = self._one_styled(noise, x.device)
        with torch.no_grad():
            s = self.mu(x)
            u = self.flow.map(s)
            w = split(u, self.w_dims)[1]
            has, giver = self._unlike(i, y, w, self._alike(y), noise)
            free = torch.rand(len(x), 1, generator=noise, device=x.device) < _FREE
            free &= (giver != torch.arange(len(x), device=x.device))[:, None]
            styles = [
                torch.where(
                    free,
                    torch.where(has, self.anchors(j)[0], self._prior_styles(j, len(x), noise)),
                    w[j][giver],
                )
                for j in self.styled
            ]
            edited = self.flow.inverse(self._worn(i, u, styles))
        drawn = self.decoder(torch.cat([s, edited]))
        with torch.no_grad():
            (true,) = read_by_shares(self._readers(), x, 1).sigmoid()
        with frozen(*self._readers()):
            read, edit = read_by_shares(self._readers(), drawn, 2)
        before = read.detach().sigmoid()
        this = torch.arange(self.labels, device=x.device) == i
        wanted = torch.where(free, torch.where(has, 1 - _CLEAR, _CLEAR), before[giver])
        return {
            **self._pictured(drawn[: len(x)], x, y),
            "seen": kl_bernoulli(true, read).sum(1).mean(),
            "hold": (kl_bernoulli(before, edit) * ~this).sum(1).mean(),
            "shown": (kl_bernoulli(wanted, edit) * this).sum(1).mean(),
        }

    @torch.no_grad()
    def _unlike(
        self, i: Tensor, y: Tensor, w: Sequence[Tensor], peers: Tensor, noise: torch.Generator | None
    ) -> tuple[Tensor, Tensor]:
        """Who has the label of this number (1), bool N×1, and for each a peer who differs in it, N.

        Where the label is unknown, w says it.
        """
        has = torch.where(y < 0, self.label_logits(w) > 0, y == 1).index_select(1, i)
        return has, partners(peers & (has != has.T), noise)

    def _worn(self, i: Tensor, u: Tensor, styles: Sequence[Tensor]) -> Tensor:
        """(z, w) of people (N×code_dim), `wearing` styles of the label of this number (1).

        styles: for each label that is edited N×d_j.
        """
        w = split(u, self.w_dims)[1]
        worn = torch.cat([self.wearing(j, w[j], style) for j, style in enumerate(styles)], dim=1)
        room = (self.latent_dim, self.code_dim - self.latent_dim - worn.shape[1])
        return torch.where(self.columns[i], pad(worn, room), u)

    def _one_styled(self, noise: torch.Generator | None, device: torch.device) -> Tensor:
        """The number of a label that is edited, at random, 1; on the device, so that nobody waits for it."""
        return torch.randint(len(self.styled), (1,), generator=noise, device=device)

    def _prior_styles(self, attribute: int, count: int, noise: torch.Generator | None) -> Tensor:
        """As many styles, count×d_i, around the prior's "present"."""
        present, spread = self.anchors(attribute)[1], self.priors[attribute].log_std[1].exp()
        return present + spread * torch.randn(count, len(spread), generator=noise, device=spread.device)

    def label_logits(self, w: Sequence[Tensor]) -> Tensor:
        """log p(y_i = 1|w_i) / p(y_i = 0|w_i), both labels being equally likely beforehand, N×k."""
        return torch.stack([p.evidence(w_i) for p, w_i in zip(self.priors, w, strict=True)], dim=1)

    def label_probabilities(self, w: Sequence[Tensor]) -> Tensor:
        logits = self.label_logits(w)
        return logits.softmax(1) if self.exclusive else logits.sigmoid()

    def expect(self, y: Tensor) -> None:
        self.log_odds.copy_(label_log_odds(y))
        self.weight.copy_(class_weights(y).clamp(max=4))
        self.weight_known.copy_((len(y) / (y >= 0).sum(0).clamp(min=1)).sqrt())

    def map_labels(self, codes: Tensor, y: Tensor) -> Tensor:
        """y with the unknown labels that are edited guessed where that is sure (`guessed`), N×k."""
        if not bool((y[:, : len(self.styled)] < 0).any()):
            return y
        codes, filled = codes.cpu(), y.cpu().clone()
        for i in self.styled:
            filled[:, i] = guessed(codes, filled[:, i])
        return (one_at_most(filled, y.cpu()) if self.exclusive else filled).to(y.device)

    def begin_map(self, rows: Rows, codes: Tensor, y: Tensor) -> None:
        """Whiten by the codes of all rows; find what the styles of each styled label are, and where it is."""
        self.flow.whiten_by(codes)
        if not self.styled:
            return
        kept = torch.arange(len(self.styled), self.labels)
        weights = torch.stack([self._outside(i, rows, y) for i in self.styled])
        for i, weight in zip(self.styled, weights, strict=True):
            (present, around_present), (absent, around_absent) = (
                self._looked_at(rows, chosen, weight) for chosen in alike(y.cpu(), i, kept, _CONTRASTED)
            )
            with torch.autocast(codes.device.type, enabled=False):
                matrix, offset = contrast(present, absent, self.w_dims[i], (around_present, around_absent))
            self.get_buffer(f"contrast_{i}").copy_(matrix)
            self.get_buffer(f"contrast_offset_{i}").copy_(offset)
        some = evenly(codes, _MEASURED)
        steps = torch.linalg.inv(self.flow.whitening)
        for i, metric in zip(self.styled, reach(self.decoder, some, steps, weights), strict=True):
            # Whitened, two people differ by 2 in every direction, so that they are 1 apart in the mean.
            self.get_buffer(f"beyond_{i}").copy_(metric / (2 * metric.trace()).clamp(min=1e-12))

    @torch.no_grad()
    def end_map(self, codes: Tensor, y: Tensor) -> None:
        """Move what a linear reader still finds of the labels in z to W, by the last, linear part of the map.

        z − B t in place of z, t_i being how clearly w_i shows label i: w, the determinant and all else that
        the map has sorted stay as they are.
        """
        s = codes[:, : self.code_dim]
        u = torch.cat([self.flow.map(part) for part in s.split(4 * _CHUNK)])
        clear = self.columns * torch.cat([u.new_zeros(self.latent_dim), *map(wearing.clearer, self.priors)])
        z = u[:, : self.latent_dim]
        shift = linear_shift(z, u @ clear.T, y)
        self.flow.linear[: self.latent_dim] -= shift @ clear @ self.flow.linear

    def _looked_at(self, rows: Rows, chosen: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """`style_features` of these pictures, and what they show `around` a label's place, N×D and N×e.

        weight: of what lies around, H×W.
        """
        seen = [(self.style_features(x), around(x, weight)) for x in map(rows, chosen.split(_CHUNK))]
        features, elsewhere = zip(*seen, strict=True)
        return torch.cat(features), torch.cat(elsewhere)

    def _outside(self, i: int, rows: Rows, y: Tensor) -> Tensor:
        """`regions.outside` of label i, by the pictures in which the reader sees it, H×W."""
        assert self.reader is not None
        reader = self.reader

        def log_odds(x: Tensor) -> Tensor:
            return torch.cat([reader.logits(part).float()[:, i] for part in x.split(_CHUNK)])

        present = rows(evenly((y[:, i] == 1).nonzero()[:, 0], _LOOKED_AT))
        seen = present[log_odds(present) > 0] if len(present) else present
        mean = rows(evenly(torch.arange(len(y)), _CHUNK)).mean(0)
        lost = occlusion(log_odds, seen, mean, 16, 2) if len(seen) else torch.zeros(16, 16)
        return outside(lost, *self.shape[1:])

    def settle(self, z_mu: Tensor, y: Tensor) -> None:
        """Nothing is put to rest: the map has no direction that the decoder has not seen."""

    def anchors(self, attribute: int) -> tuple[Tensor, Tensor]:
        return wearing.anchors(self.priors[attribute])

    def wearing(self, attribute: int, w: Tensor, p: Tensor) -> Tensor:
        return wearing.worn(self.priors[attribute], w, p)

    def strength_axis(self, attribute: int) -> Tensor | None:
        return wearing.strength_axis(self.priors[attribute])

    def _alike(self, y: Tensor) -> Tensor:
        """Who is like whom in all labels that are not styled, bool N×N."""
        group = combinations(y[:, len(self.styled) :])
        return group[:, None] == group

    def _per_known(self, y: Tensor) -> Tensor:
        """What each label counts, more where few are known; by the root, or they would be learnt by heart."""
        return per_label(self.weight, y) * self.weight_known

    def _per_row(self, y: Tensor) -> Tensor:
        """What each row counts: the mean of what its labels do, scaled to a mean of 1, N."""
        rows = torch.where(y >= 0, per_label(self.weight, y), 1.0).mean(1)
        return rows / rows.mean()

    def _pictured(self, x_hat: Tensor, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """`recon`, and `features` where there is a reader."""
        rows = self._per_row(y)
        numbers = x[0].numel() if self.reduction == "sum" else 1
        terms = {"recon": 0.5 * numbers * log_error(x_hat, x, rows)}
        if self.reader is not None:
            terms["features"] = 0.5 * numbers * log_feature_error(self.reader, x_hat, x, rows)
        return terms


def _over(rows: Tensor, values: Tensor) -> Tensor:
    """The mean of values (N) over the rows (bool N); 0 where there are none."""
    return (values * rows).sum() / rows.sum().clamp(min=1)
