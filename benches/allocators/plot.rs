//! A picture for each workload: time on the left, memory on the right, a bar for each contender.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::*;

use crate::measure::Record;
use crate::workload::Workload;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const TEXT: (&str, i32) = ("sans-serif", 16);
const ROW: u32 = 30;
const HEAD: u32 = 34;
const FOOT: u32 = 40;
const NAMES: i32 = 170;

const TIME: RGBColor = RGBColor(0, 60, 40);
/// Peak, kept, after two collections; the later ones drawn over the earlier.
const MEMORY: [RGBColor; 3] = [RGBColor(200, 200, 200), RGBColor(86, 180, 233), RGBColor(213, 94, 0)];

pub fn draw(path: &Path, workload: Workload, records: &[Record]) -> Result<(), Box<dyn Error>> {
    let height = HEAD + FOOT + ROW * records.len() as u32;
    let area = SVGBackend::new(path, (900, height)).into_drawing_area();
    area.fill(&WHITE)?;
    area.draw(&Text::new(format!("{}: {}", workload.name(), workload.per()), (10, 8), TEXT))?;
    for (n, record) in records.iter().enumerate() {
        let y = HEAD as i32 + ROW as i32 * n as i32 + 8;
        area.draw(&Text::new(record.times.contender, (10, y), TEXT))?;
    }
    let (left, right) = area.split_horizontally(530);
    time(&left, records)?;
    memory(&right, records)?;
    area.present()?;
    Ok(())
}

/// The median, and a line from the least to the most of the rounds.
fn time(area: &Area<'_>, records: &[Record]) -> Result<(), Box<dyn Error>> {
    let medians = records.iter().map(|record| record.times.median());
    // One round that was disturbed must not make all bars short.
    let top = medians.fold(0.0, f64::max) * 1.3;
    let end = records.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin_top(HEAD)
        .margin_left(NAMES)
        .margin_right(16)
        .x_label_area_size(FOOT)
        .build_cartesian_2d(0.0..top, end..0.0)?;
    let mut mesh = chart.configure_mesh();
    mesh.disable_y_mesh().disable_y_axis().light_line_style(TRANSPARENT).x_desc("ns");
    mesh.x_labels(5).x_label_formatter(&|ns| format!("{ns:.0}")).label_style(TEXT).axis_desc_style(TEXT).draw()?;
    for (n, record) in records.iter().enumerate() {
        let (row, ns, (least, most)) = (n as f64, record.times.median(), record.times.extremes());
        chart.draw_series([Rectangle::new([(0.0, row + 0.2), (ns, row + 0.8)], TIME.mix(0.6).filled())])?;
        chart.draw_series([PathElement::new([(least, row + 0.5), (most.min(top), row + 0.5)], BLACK)])?;
    }
    Ok(())
}

fn memory(area: &Area<'_>, records: &[Record]) -> Result<(), Box<dyn Error>> {
    let mib = |kib: usize| kib as f64 / 1024.0;
    let top = records.iter().map(|record| mib(record.memory.peak.max(record.memory.collected)));
    let top = top.fold(0.1, f64::max) * 1.1;
    let end = records.len() as f64;
    let mut chart = ChartBuilder::on(area)
        .margin_top(HEAD)
        .margin_left(16)
        .margin_right(16)
        .x_label_area_size(FOOT)
        .build_cartesian_2d(0.0..top, end..0.0)?;
    let mut mesh = chart.configure_mesh();
    let title = "MiB resident: peak (grey), kept (blue), collected (red)";
    mesh.disable_y_mesh().disable_y_axis().light_line_style(TRANSPARENT).x_desc(title);
    mesh.x_labels(5).x_label_formatter(&|mib| format!("{mib:.1}")).label_style(TEXT).axis_desc_style(TEXT).draw()?;
    for (n, record) in records.iter().enumerate() {
        let figures = [record.memory.peak, record.memory.kept, record.memory.collected].map(mib);
        for (step, (figure, color)) in figures.into_iter().zip(MEMORY).enumerate() {
            // Narrower each, so that those that are alike are all seen.
            let (row, edge) = (n as f64, 0.15 + 0.1 * step as f64);
            let corners = [(0.0, row + edge), (figure, row + 1.0 - edge)];
            chart.draw_series([Rectangle::new(corners, color.filled())])?;
        }
    }
    Ok(())
}
