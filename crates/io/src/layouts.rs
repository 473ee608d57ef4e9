//! The layouts of input files, one file of code each: how a log is recognised, where its time is, what its fields are.

pub mod alb;
pub mod apigw;
pub mod clb;
pub mod clf;
pub mod cloudfront;
pub mod cloudtrail;
pub mod config;
pub mod csv;
pub mod cwl_events;
pub mod cwl_export;
pub mod eks;
pub mod guardduty;
pub mod json;
pub mod lambda;
pub mod ndjson;
pub mod nlb;
pub mod ocsf;
pub mod parquet;
pub mod resolver;
pub mod s3access;
pub mod tsv;
pub mod vpcflow;
pub mod waf;
