"""Which entries of a memory a labelled batch overwrites."""

import warnings

# One queue for each class, or one for all.
POLICIES = ("balanced", "fifo")


def checked_policy(
    policy: str, memory_size: int, num_classes: int, neighbours: int
) -> str:
    """The policy that can be kept: "balanced" only where every class has an entry.

    Args:
        policy: what the user asked for.
        memory_size: int, C.
        num_classes: int.
        neighbours: int, k; more than a class can have the majority of are warned of.

    Raises:
        ValueError: for one that is not known.
    """
    if policy not in POLICIES:
        raise ValueError(
            f"`memory_policy` must be one of {POLICIES}. Received: memory_policy="
            f"{policy!r}."
        )
    if policy == "fifo":
        return policy
    if memory_size < num_classes:
        warnings.warn(
            "`memory_size` should be at least `num_classes`, so that every class can "
            f"stay in the memory. Received: memory_size={memory_size} for "
            f"{num_classes} classes. It is one queue for all of them now "
            f'(memory_policy="fifo"), in which some are always missing; {num_classes} '
            "entries would do.",
            stacklevel=3,
        )
        return "fifo"
    length = memory_size // num_classes
    if neighbours >= 2 * length:
        warnings.warn(
            "`neighbours` should be less than twice the entries that a class has in "
            "the memory, so that each can have the majority. Received: neighbours="
            f"{neighbours}, with {length} entries for a class (memory_size="
            f"{memory_size}, {num_classes} classes). Take at most {2 * length - 1} "
            f"neighbours, or memory_size={num_classes * (neighbours // 2 + 1)}.",
            stacklevel=3,
        )
    return policy
