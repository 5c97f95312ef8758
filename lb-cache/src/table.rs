//! Where a key is: hash fingerprints to slots of a slab.
