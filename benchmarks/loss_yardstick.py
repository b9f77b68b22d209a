"""SemPPL's votes and loss in plain PyTorch, pair of views by pair of views.

What benchmarks/loss.py compares with: the equations written down as they are read,
with one matrix product, one `topk` and one vote for each pair.
"""

import collections

import torch
import torch.nn.functional as F


@torch.no_grad()
def knn_votes(queries, memory, labels, k, num_classes):
    """Labels `(B,)` and confidences `(B,)` of `(L, B, D)` by a full `(L, C, D)`."""
    batch = queries.shape[1]
    won = torch.zeros(batch, num_classes)
    total = torch.zeros(batch, num_classes)
    for query in queries:
        for view in memory:
            similarity, indices = (query @ view.T).topk(k, dim=1)
            neighbours = labels[indices]
            count = torch.zeros(batch, num_classes)
            count.scatter_add_(1, neighbours, torch.ones_like(similarity))
            weight = torch.zeros(batch, num_classes)
            weight.scatter_add_(1, neighbours, similarity)
            weight[count < count.amax(dim=1, keepdim=True)] = -torch.inf
            weight, vote = weight.max(dim=1, keepdim=True)
            won.scatter_add_(1, vote, torch.ones_like(weight))
            total.scatter_add_(1, vote, weight)
    most = won.amax(dim=1)
    total[won < most[:, None]] = -torch.inf
    return total.argmax(dim=1), most / (len(queries) * len(memory))


@torch.no_grad()
def knn_votes_by_image(queries, memory, labels, k, num_classes):
    """The same with a loop over the images inside."""
    del num_classes
    voted, confidences = [], []
    for image in range(queries.shape[1]):
        won, total = collections.Counter(), collections.Counter()
        for query in queries[:, image]:
            for view in memory:
                similarity, indices = (view @ query).topk(k)
                count, weight = collections.Counter(), collections.Counter()
                neighbours = labels[indices].tolist()
                for label, value in zip(neighbours, similarity.tolist(), strict=True):
                    count[label] += 1
                    weight[label] += value
                vote = max(count, key=lambda y: (count[y], weight[y], -y))
                won[vote] += 1
                total[vote] += weight[vote]
        label = max(won, key=lambda y: (won[y], total[y], -y))
        voted.append(label)
        confidences.append(won[label] / (len(queries) * len(memory)))
    return torch.tensor(voted), torch.tensor(confidences)


def semppl_loss(
    online,
    target,
    negative_indices,
    semantic_positive,
    has_semantic_positive,
    *,
    temperature=0.2,
    contrastive_weight=0.3,
    semantic_weight=0.2,
    invariance_weight=5.0,
):
    """The loss of `(V, B, D)`, `(L, B, D)`, `(B, K)`, `(P, L, B, D)` and `(B,)`."""
    num_views, num_large, num_draws = len(online), len(target), len(semantic_positive)
    has = has_semantic_positive.float()

    def log_p(anchor, positive, negative_logits):
        positive_logit = (anchor * positive).sum(dim=1, keepdim=True) / temperature
        return torch.cat([positive_logit, negative_logits], dim=1).log_softmax(dim=1)

    def invariance(log_p):
        """`(B,)`: the mean divergence over the pairs of large views."""
        divergence = 0.0
        for i in range(num_large):
            for j in range(num_large):
                if i != j:
                    divergence = divergence + F.kl_div(
                        log_p[j, i],
                        log_p[i, j].detach(),
                        reduction="none",
                        log_target=True,
                    ).sum(dim=1)
        return divergence / (num_large * (num_large - 1))

    augmented = {}
    semantic = [{} for _ in range(num_draws)]
    for i in range(num_views):
        for j in range(num_large):
            negatives = target[j][negative_indices]
            logits = torch.einsum("bd,bkd->bk", online[i], negatives) / temperature
            augmented[i, j] = log_p(online[i], target[j], logits)
            for draw in range(num_draws):
                positive = semantic_positive[draw, j]
                semantic[draw][i, j] = log_p(online[i], positive, logits)

    pairs = num_views * num_large
    augmentation = -sum(p[:, 0].mean() for p in augmented.values()) / pairs
    loss = contrastive_weight * augmentation
    loss = loss + invariance_weight * invariance(augmented).mean()
    for drawn in semantic:
        contrast = -sum((has * p[:, 0]).mean() for p in drawn.values()) / pairs
        divergence = (has * invariance(drawn)).mean()
        loss = loss + contrastive_weight * semantic_weight * contrast / num_draws
        loss = loss + invariance_weight * divergence / num_draws
    return loss
