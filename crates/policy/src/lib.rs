//! What a provider decides about sending and receiving: scoped settings, stages, findings, identities, and the
//! pure rulings over them. Carries nothing out; `smtp`, `routing` and `queue` ask it.
