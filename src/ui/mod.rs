//! The pages: views in, HTML out. No HTTP and no SQL here.
