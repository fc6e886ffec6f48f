'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const summary = data.summary;
  const byId = (id) => document.getElementById(id);
  const drawn = {};  // id -> chart
  const root = document.documentElement;
  const GIB = 2 ** 30, MIB = 2 ** 20;

  // Okabe and Ito's colours, which people with a colour vision deficiency can tell apart.
  const COLORS = ['#0072b2', '#e69f00', '#009e73', '#cc79a7', '#d55e00', '#56b4e9', '#999999'];
  const SYMBOLS = ['circle', 'rect', 'triangle', 'diamond', 'pin'];
  const KINDS = [['model_bytes', 'model'], ['context_bytes', 'KV cache'], ['compute_bytes', 'compute']];

  const bytes = (n) => n >= GIB ? (n / GIB).toFixed(2) + ' GiB' : n >= MIB ? (n / MIB).toFixed(1) + ' MiB' : (n / 1024).toFixed(1) + ' KiB';
  const figure = (x) => x < 9.995 ? x.toFixed(2) : x < 99.95 ? x.toFixed(1) : x.toFixed(0);
  const escape = (text) => String(text).replace(/[&<>"]/g, (c) => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'}[c]));
  const placementName = (p) => p === 'baseline' ? 'baseline' : p === 'offload' ? 'offload' : p.replace('n_cpu_moe=', 'N=');
  const narrow = () => window.innerWidth < 600;
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const quantile = (sorted, p) => {
    const at = p * (sorted.length - 1), low = Math.floor(at), high = Math.min(low + 1, sorted.length - 1);
    return sorted[low] + (at - low) * (sorted[high] - sorted[low]);
  };

  let model = summary.models[0].name;
  const cells = () => summary.cells.filter((c) => c.model === model && c.mode === data.table_mode && c.decode_tps && c.at_base !== false);
  const isBase = (entry) => !entry.axes || Object.entries(entry.axes).every(([key, value]) =>
    summary.settings.axes.list.some((a) => a.name === key && a.values[0] === String(value)));
  const unique = (list) => [...new Set(list)];
  const quantizations = () => summary.variants.filter((v) => v.model === model).map((v) => v.quantization);

  function base(extra) {
    const fg = css('--fg'), muted = css('--muted'), line = css('--line');
    const axis = {axisLabel: {color: muted}, nameTextStyle: {color: muted}, axisLine: {lineStyle: {color: line}},
                  splitLine: {lineStyle: {color: line}}};
    const option = Object.assign({
      animation: false, color: COLORS, textStyle: {color: fg, fontFamily: 'inherit'},
      legend: {top: 0, type: 'scroll', itemGap: 18, textStyle: {color: fg}, pageIconColor: fg, pageTextStyle: {color: muted}},
      tooltip: {backgroundColor: css('--bg'), borderColor: line, textStyle: {color: fg}, confine: true},
      grid: {left: 12, right: 20, top: 48, bottom: 12, containLabel: true},
    }, extra);
    for (const key of ['xAxis', 'yAxis']) if (option[key]) option[key] = Object.assign({}, axis, option[key]);
    return option;
  }

  function draw(id, option) {
    const element = byId(id);
    if (element.classList.contains('missing')) element.textContent = '';
    element.classList.remove('missing');
    if (!drawn[id]) drawn[id] = echarts.init(element, null, {renderer: 'svg'});
    drawn[id].setOption(base(option), true);
    drawn[id].resize();
  }

  function missing(id, what, how) {
    if (drawn[id]) { drawn[id].dispose(); delete drawn[id]; }
    const element = byId(id);
    element.classList.add('missing');
    element.innerHTML = escape(what) + (how ? ' <code>' + escape(how) + '</code>' : '');
  }

  function drawVram() {
    const list = cells();
    if (!list.length) return missing('vram', 'No run of this model has figures yet:', data.commands.run);
    const unit = Math.max(...list.map((c) => c.vram_bytes)) >= GIB ? [GIB, 'GiB'] : [MIB, 'MiB'];
    const names = list.map((c) => c.quantization + '\n' + placementName(c.placement));
    const side = list.length > (narrow() ? 4 : 12);  // many bars lie better
    const category = {type: 'category', data: names, inverse: side, axisLabel: {color: css('--muted'), interval: 0, lineHeight: 13, fontSize: 11}};
    const value = {type: 'value', name: unit[1], nameLocation: side ? 'middle' : 'end', nameGap: side ? 26 : 15};
    byId('vram').style.height = side ? 110 + 36 * list.length + 'px' : '';
    draw('vram', {
      tooltip: Object.assign(base({}).tooltip, {trigger: 'axis', axisPointer: {type: 'shadow'}, formatter: (points) =>
        escape(points[0].name.replace('\n', ' ')) + '<br>' + points.map((p) => p.marker + p.seriesName + ' ' + bytes(p.value * unit[0])).join('<br>') +
        '<br><b>' + bytes(points.reduce((sum, p) => sum + p.value, 0) * unit[0]) + '</b>'}),
      xAxis: side ? value : category, yAxis: side ? category : value,
      grid: {left: 12, right: 20, top: 48, bottom: side ? 32 : 12, containLabel: true},
      series: KINDS.map(([key, name]) => ({name, type: 'bar', stack: 'vram', barMaxWidth: 46, data: list.map((c) => c.vram[key] / unit[0])})),
    });
  }

  function drawSpeed() {
    const list = cells();
    if (!list.length) return missing('speed', 'No run of this model has figures yet:', data.commands.run);
    const unit = Math.max(...list.map((c) => c.vram_bytes)) >= GIB ? [GIB, 'GiB'] : [MIB, 'MiB'];
    const series = [];
    unique(list.map((c) => c.placement)).forEach((placement, i) => {
      const points = list.filter((c) => c.placement === placement);
      series.push({
        name: placementName(placement), type: 'scatter', symbolSize: 13, symbol: SYMBOLS[i % SYMBOLS.length],
        data: points.map((c) => ({value: [c.vram_bytes / unit[0], c.decode_tps.median], cell: c})),
        label: {show: true, formatter: (p) => p.data.cell.quantization, position: 'right', color: css('--fg'), fontSize: 11},
        labelLayout: {hideOverlap: true}, itemStyle: {color: COLORS[i % COLORS.length]},
      }, {
        name: placementName(placement), type: 'custom', silent: true, itemStyle: {color: COLORS[i % COLORS.length]},
        data: points.map((c) => [c.vram_bytes / unit[0], c.decode_tps.min, c.decode_tps.max]),
        renderItem: (params, api) => {
          const low = api.coord([api.value(0), api.value(1)]), high = api.coord([api.value(0), api.value(2)]);
          return {type: 'line', shape: {x1: low[0], y1: low[1], x2: high[0], y2: high[1]}, style: {stroke: COLORS[i % COLORS.length], lineWidth: 2, opacity: .6}};
        },
      });
    });
    draw('speed', {
      tooltip: Object.assign(base({}).tooltip, {formatter: (p) => p.data.cell ? '<b>' + escape(p.data.cell.quantization + ' ' + p.data.cell.placement) +
        '</b><br>' + bytes(p.data.cell.vram_bytes) + '<br>decode ' + figure(p.data.cell.decode_tps.median) + ' tok/s (' +
        figure(p.data.cell.decode_tps.min) + '–' + figure(p.data.cell.decode_tps.max) + '), n = ' + p.data.cell.decode_tps.n +
        '<br>TTFT ' + figure(p.data.cell.ttft_ms.median) + ' ms' : ''}),
      xAxis: {type: 'value', name: 'VRAM, ' + unit[1], nameLocation: 'middle', nameGap: 28, min: 0},
      yAxis: {type: 'value', name: 'decode, tok/s', nameTextStyle: {align: 'left', color: css('--muted')}, min: 0},
      grid: {left: 12, right: narrow() ? 44 : 64, top: 56, bottom: 36, containLabel: true}, series,
    });
  }

  function fill(select, values) {
    const before = select.value;
    select.innerHTML = values.map((v) => '<option>' + escape(v) + '</option>').join('');
    if (values.includes(before)) select.value = before;
    select.parentElement.hidden = values.length < 2;
  }

  function gaps(cell) {  // per token: [q1, median, q3] over the runs
    const runs = cell.samples.filter((s) => s.token_ms.length).map((s) => s.token_ms.map((t, i) => i ? t - s.token_ms[i - 1] : t));
    const length = Math.max(0, ...runs.map((r) => r.length));
    const out = [];
    for (let i = 0; i < length; ++i) {
      const sorted = runs.filter((r) => r.length > i).map((r) => r[i]).sort((a, b) => a - b);
      out.push([quantile(sorted, .25), quantile(sorted, .5), quantile(sorted, .75)]);
    }
    return out;
  }

  function drawLatency() {
    const all = cells().filter((c) => c.samples.some((s) => s.token_ms.length));
    fill(byId('latency-type'), unique(all.map((c) => c.quantization)));
    const list = all.filter((c) => c.quantization === byId('latency-type').value);
    if (!list.length) return missing('latency', 'No run of this model has times per token yet:', data.commands.run);
    const series = [];
    list.forEach((cell, i) => {
      const color = COLORS[i % COLORS.length], points = gaps(cell), name = placementName(cell.placement);
      series.push({name, type: 'line', symbol: 'none', data: points.map((p, t) => [t + 1, p[1]]), itemStyle: {color}, lineStyle: {color, width: 2}});
      series.push({name, type: 'line', symbol: 'none', stack: 'low' + i, silent: true, lineStyle: {opacity: 0}, data: points.map((p, t) => [t + 1, p[0]]), tooltip: {show: false}});
      series.push({name, type: 'line', symbol: 'none', stack: 'low' + i, silent: true, lineStyle: {opacity: 0}, areaStyle: {color, opacity: .18},
                   data: points.map((p, t) => [t + 1, p[2] - p[0]]), tooltip: {show: false}});
    });
    draw('latency', {
      tooltip: Object.assign(base({}).tooltip, {trigger: 'axis', formatter: (points) => 'token ' + points[0].value[0] + '<br>' +
        points.filter((p) => p.seriesIndex % 3 === 0).map((p) => p.marker + escape(p.seriesName) + ' ' + figure(p.value[1]) + ' ms').join('<br>')}),
      xAxis: {type: 'value', name: 'token', nameLocation: 'middle', nameGap: 28, min: 1, max: 'dataMax', splitLine: {show: false}},
      yAxis: {type: 'log', name: 'ms', axisLabel: {color: css('--muted'), formatter: (v) => v >= 1 ? String(v) : v.toPrecision(1)}},
      grid: {left: 12, right: 20, top: 56, bottom: 36, containLabel: true}, series,
    });
  }

  function errorBars(items, color) {
    return {type: 'custom', silent: true, z: 5, data: items, renderItem: (params, api) => {
      const low = api.coord([api.value(0), api.value(1)]), high = api.coord([api.value(0), api.value(2)]), w = 6;
      const style = {stroke: color, lineWidth: 2, fill: null};
      return {type: 'group', children: [
        {type: 'line', shape: {x1: low[0], y1: low[1], x2: high[0], y2: high[1]}, style},
        {type: 'line', shape: {x1: low[0] - w, y1: low[1], x2: low[0] + w, y2: low[1]}, style},
        {type: 'line', shape: {x1: high[0] - w, y1: high[1], x2: high[0] + w, y2: high[1]}, style}]};
    }};
  }

  function drawStreaming() {
    const list = summary.streaming.filter((s) => s.model === model && s.total_percent && isBase(s));
    if (!list.length) return missing('streaming', 'Not measured: add modes = ["stream", "no-stream"] to the campaign, then', data.commands.run);
    draw('streaming', {
      legend: {show: false},
      tooltip: Object.assign(base({}).tooltip, {formatter: (p) => { const s = list[p.dataIndex]; return '<b>' + escape(s.quantization + ' ' + s.placement) + '</b><br>' +
        s.total_percent.mean.toFixed(1) + '% of the total time, ' + s.n_pairs + ' pairs<br>same text in ' + s.n_same_text; }}),
      xAxis: {type: 'category', data: list.map((s) => s.quantization + '\n' + placementName(s.placement)), axisLabel: {color: css('--muted'), interval: 0, fontSize: 11}},
      yAxis: {type: 'value', name: narrow() ? 'streaming, % of total' : 'streaming against not, % of the total time', nameTextStyle: {align: 'left', color: css('--muted')}},
      series: [{type: 'bar', barMaxWidth: 46, data: list.map((s) => s.total_percent.mean)},
               errorBars(list.filter((s) => s.total_percent.ci95_low !== null).map((s) => [list.indexOf(s), s.total_percent.ci95_low, s.total_percent.ci95_high]), css('--fg'))],
    });
  }

  function drawLoad() {
    const list = summary.load.filter((l) => l.model === model && l.total_tps);
    if (!list.length) return missing('load', 'Not measured: add [load] with clients = [1, 4, 16] to the campaign, then', data.commands.run);
    const nameOf = (l) => l.quantization + ' ' + l.placement + (l.axes ? ', ' + pointText(l.axes) : '');
    const keys = unique(list.map(nameOf));
    draw('load', {
      tooltip: Object.assign(base({}).tooltip, {trigger: 'axis'}),
      xAxis: {type: 'category', name: 'clients', nameLocation: 'middle', nameGap: 28, data: unique(list.map((l) => l.n_clients)).map(String)},
      yAxis: {type: 'value', name: 'tok/s of all clients', nameTextStyle: {align: 'left', color: css('--muted')}},
      grid: {left: 12, right: 20, top: 56, bottom: 36, containLabel: true},
      series: keys.map((key) => ({name: key, type: 'line', symbolSize: 8,
        data: list.filter((l) => nameOf(l) === key).map((l) => [String(l.n_clients), Number(figure(l.total_tps.mean))])})),
    });
  }

  // Of campaigns with axes.
  const FIGURES = [['decode_percent', 'decode rate'], ['prefill_percent', 'prefill rate'], ['ttft_percent', 'TTFT'], ['vram_percent', 'VRAM']];
  const CURVES = [['decode_tps', 'decode, tok/s'], ['prefill_tps', 'prefill, tok/s'], ['ttft_ms', 'TTFT, ms']];
  const pointText = (point) => Object.entries(point).map(([key, value]) => key + ' ' + value).join(', ');
  const effectPlace = (e) => e.quantization + ' ' + placementName(e.placement) + (e.mode === 'load' ? ', ' + e.n_clients + ' clients' : e.mode === 'generate' ? '' : ', ' + e.mode);

  // A figure against the values of an axis, as in a sweep over depths.
  function drawCurve(axis, key, name) {
    const values = summary.settings.axes.list.find((a) => a.name === axis).values;
    const atBase = (c) => summary.settings.axes.list.every((a) => a.name === axis || !(a.name in c.axes) || a.values[0] === String(c.axes[a.name]));
    const list = summary.cells.filter((c) => c.model === model && c[key] && c.axes && axis in c.axes && atBase(c));
    const places = unique(list.map(effectPlace)), at = (c) => values.indexOf(String(c.axes[axis]));
    const series = places.flatMap((place, i) => {
      const own = list.filter((c) => effectPlace(c) === place).sort((a, b) => at(a) - at(b)), color = COLORS[i % COLORS.length];
      const bars = errorBars(own.filter((c) => c[key].ci95_low !== null).map((c) => [at(c), c[key].ci95_low, c[key].ci95_high]), color);
      return [{name: place, type: 'line', symbolSize: 9, symbol: SYMBOLS[i % SYMBOLS.length], itemStyle: {color}, lineStyle: {color},
               data: own.map((c) => [at(c), c[key].mean])}, Object.assign(bars, {name: place})];
    });
    draw('axes-chart', {
      tooltip: Object.assign(base({}).tooltip, {formatter: (p) => escape(p.seriesName) + '<br>' + escape(axis + ' ' + values[p.value[0]]) + ': ' + figure(p.value[1])}),
      xAxis: {type: 'category', name: axis, nameLocation: 'middle', nameGap: 28, data: values},
      yAxis: {type: 'value', name, min: 0, nameTextStyle: {align: 'left', color: css('--muted')}},
      grid: {left: 12, right: 20, top: 56, bottom: 36, containLabel: true}, series,
    });
  }

  function drawAxes() {
    const effects = (summary.effects || []).filter((e) => e.model === model);
    byId('axes').hidden = !effects.length;
    if (!effects.length) return;
    byId('axes-base').textContent = 'The rest of this page is at the base: ' + summary.settings.axes.list.map((a) => a.name + ' ' + a.values[0]).join(', ') + '.';
    fill(byId('axes-axis'), unique(effects.map((e) => Object.keys(e.to).join(' and '))));
    const axis = byId('axes-axis').value;
    const curves = summary.settings.axes.list.some((a) => a.name === axis) ? CURVES : [];  // a paired design has no axis of its own
    fill(byId('axes-figure'), FIGURES.filter(([key]) => effects.some((e) => e[key] !== null)).concat(curves).map(([, name]) => name));
    const curve = curves.find(([, name]) => name === byId('axes-figure').value);
    byId('axes-note').textContent = curve ? 'Mean over prompts and repeats, the other axes at their base; the bar is the 95% interval.' :
      'Mean change against the first value of the axis, over pairs of runs that differ in nothing else; the bar is the 95% interval.';
    if (curve) return drawCurve(axis, ...curve);
    const key = FIGURES.find(([, name]) => name === byId('axes-figure').value)[0];
    const list = effects.filter((e) => Object.keys(e.to).join(' and ') === byId('axes-axis').value && e[key] !== null);
    const mean = (e) => key === 'vram_percent' ? e[key] : e[key].mean;
    const values = unique(list.map((e) => pointText(e.to))), places = unique(list.map(effectPlace));
    const series = places.map((place, i) => ({
      name: place, type: 'bar', barMaxWidth: 46, itemStyle: {color: COLORS[i % COLORS.length]},
      data: values.map((value) => { const e = list.find((x) => effectPlace(x) === place && pointText(x.to) === value); return e ? {value: mean(e), effect: e} : null; }),
    }));
    draw('axes-chart', {
      tooltip: Object.assign(base({}).tooltip, {formatter: (p) => { const e = p.data.effect, c = e[key]; return '<b>' + escape(effectPlace(e) + ': ' + pointText(e.to)) + '</b><br>against ' +
        escape(pointText(e.from)) + ': ' + mean(e).toFixed(1) + '%' + (c.n_pairs ? '<br>' + (c.ci95_low === null ? 'one pair' : '95% interval ' + c.ci95_low.toFixed(1) + ' to ' + c.ci95_high.toFixed(1) + '%, ' + c.n_pairs + ' pairs' +
        (c.clear ? '' : '<br>no clear difference')) : ''); }}),
      xAxis: {type: 'category', data: values, axisLabel: {color: css('--muted'), interval: 0, fontSize: 11}},
      yAxis: {type: 'value', name: '% against the first value', nameTextStyle: {align: 'left', color: css('--muted')}},
      grid: {left: 12, right: 20, top: 56, bottom: 12, containLabel: true}, series: series.concat(places.map((place, i) => intervals(place, i))),
    });

    // Beside each bar of a group, where ECharts draws it.
    function intervals(place, i) {
      const items = key === 'vram_percent' ? [] : list.filter((e) => effectPlace(e) === place && e[key].ci95_low !== null)
        .map((e) => [values.indexOf(pointText(e.to)), e[key].ci95_low, e[key].ci95_high]);
      return {type: 'custom', silent: true, z: 5, data: items, tooltip: {show: false}, renderItem: (params, api) => {
        const layout = api.barLayout({count: places.length, barMaxWidth: 46})[i];
        const x = api.coord([api.value(0), 0])[0] + layout.offsetCenter, low = api.coord([0, api.value(1)])[1], high = api.coord([0, api.value(2)])[1];
        const style = {stroke: css('--fg'), lineWidth: 2, fill: null};
        return {type: 'group', children: [[x, low, x, high], [x - 5, low, x + 5, low], [x - 5, high, x + 5, high]].map(([x1, y1, x2, y2]) => ({type: 'line', shape: {x1, y1, x2, y2}, style}))};
      }};
    }
  }

  // Divergences span decades: a logarithmic axis, with 0 (the original) drawn below the lowest decade.
  function divergenceAxis(klds, name) {
    const positive = klds.filter((kld) => kld > 0);
    const style = {name, nameTextStyle: {align: 'left', color: css('--muted')}};
    if (!positive.length) return {at: (kld) => kld, option: Object.assign(style, {type: 'value', min: 0, max: 1})};
    const decade = 10 ** Math.floor(Math.log10(Math.min(...positive))), floor = decade / 10;
    return {at: (kld) => Math.max(kld, floor), option: Object.assign(style, {type: 'log', min: floor, axisLabel: {color: css('--muted'),
      formatter: (value) => value < 1.5 * floor ? '0' : String(Number(value.toPrecision(1)))}})};
  }

  function missingQuality(id) {
    const synthetic = summary.models.find((m) => m.name === model).shape;
    return synthetic ? missing(id, 'Weights are random: there is no quality to measure.') : missing(id, 'Not measured:', data.commands.quality[model]);
  }

  function drawQuality() {
    const document_ = data.quality[model];
    if (!document_) return missingQuality('quality');
    const list = document_.models.slice().sort((a, b) => a.bits_per_weight - b.bits_per_weight);
    const axis = divergenceAxis(list.map((q) => q.mean_kld), 'mean KL divergence from the base');
    draw('quality', {
      legend: {show: false},
      tooltip: Object.assign(base({}).tooltip, {formatter: (p) => { const q = p.data.entry; return q ? '<b>' + escape(q.quant) + '</b><br>perplexity ' + q.ppl.toFixed(4) + ' ± ' +
        q.ppl_error.toFixed(4) + '<br>mean KLD ' + q.mean_kld.toFixed(5) + ' ± ' + q.mean_kld_error.toFixed(5) + '<br>same top token ' + q.same_top_percent.toFixed(2) + '%' : ''; }}),
      xAxis: {type: 'value', name: 'bits per weight', nameLocation: 'middle', nameGap: 28, min: 0},
      yAxis: axis.option,
      grid: {left: 12, right: 44, top: 56, bottom: 36, containLabel: true},
      series: [{type: 'line', symbolSize: 11, data: list.map((q) => ({value: [q.bits_per_weight, axis.at(q.mean_kld)], entry: q})),
                label: {show: true, formatter: (p) => p.data.entry.quant, position: 'right', color: css('--fg')}},
               errorBars(list.map((q) => [q.bits_per_weight, axis.at(q.mean_kld - q.mean_kld_error), axis.at(q.mean_kld + q.mean_kld_error)]), COLORS[0])],
    });
  }

  function drawFront() {
    const costs = data.pareto[model];
    fill(byId('front-cost'), Object.keys(costs));
    const cost = byId('front-cost').value, list = costs[cost].slice().sort((a, b) => a.value - b.value);
    byId('recommendations').innerHTML = data.recommendations[model].map((line) => '<li>' + escape(line) + '</li>').join('');
    byId('recommended').hidden = !data.recommendations[model].length;
    if (!list.length) return missingQuality('front');
    const isBytes = cost !== 'decode rate';
    const unit = !isBytes ? [1, 'tok/s'] : Math.max(...list.map((p) => p.value)) >= GIB ? [GIB, 'GiB'] : [MIB, 'MiB'];
    const axis = divergenceAxis(list.map((p) => p.mean_kld), 'mean KL divergence from the base');
    const at = (p) => [p.value / unit[0], axis.at(p.mean_kld)];
    const series = [{name: 'Pareto front', type: 'line', symbol: 'none', data: list.filter((p) => p.on_front).map(at),
                     lineStyle: {color: css('--muted')}, itemStyle: {color: css('--muted')}, silent: true}];
    unique(list.map((p) => p.placement)).forEach((placement, i) => {
      const color = COLORS[i % COLORS.length];
      series.push({
        name: placement ? placementName(placement) : 'quantization', type: 'scatter', symbol: SYMBOLS[i % SYMBOLS.length], symbolSize: 13, itemStyle: {color},
        data: list.filter((p) => p.placement === placement).map((p) => ({value: at(p), point: p,
          itemStyle: p.on_front ? {color} : {color: css('--panel'), borderColor: color, borderWidth: 2}})),
        label: {show: true, formatter: (p) => p.data.point.quantization, position: 'right', color: css('--fg'), fontSize: 11}, labelLayout: {hideOverlap: true},
      });
    });
    draw('front', {
      tooltip: Object.assign(base({}).tooltip, {formatter: (p) => p.data.point ? '<b>' + escape(p.data.point.quantization + ' ' + p.data.point.placement) + '</b><br>mean KLD ' +
        p.data.point.mean_kld.toFixed(5) + '<br>' + (isBytes ? bytes(p.data.point.value) : figure(p.data.point.value) + ' tok/s') + (p.data.point.on_front ? '<br>on the Pareto front' : '') : ''}),
      xAxis: {type: 'value', name: cost + ', ' + unit[1], nameLocation: 'middle', nameGap: 28, min: 0},
      yAxis: axis.option,
      grid: {left: 12, right: narrow() ? 44 : 64, top: 56, bottom: 36, containLabel: true}, series,
    });
  }

  function drawExperts() {
    const all = summary.cells.filter((c) => c.model === model && Array.isArray(c.expert_use) && c.expert_use.length && c.at_base !== false);
    const names = all.map((c) => c.quantization + ' ' + c.placement);
    fill(byId('experts-type'), unique(names));
    const cell = all[Math.max(0, names.indexOf(byId('experts-type').value))];
    if (!cell) return missing('experts', 'Not measured: libggml-moe counts which experts are used. Into a folder of its own:', data.commands.experts);
    const use = cell.expert_use, layers = unique(use.map((u) => u.layer)).sort((a, b) => a - b);
    const total = {};
    use.forEach((u) => { total[u.layer] = (total[u.layer] || 0) + u.hits; });
    const share = (u) => 100 * u.hits / Math.max(1, total[u.layer]);
    draw('experts', {
      legend: {show: false},
      tooltip: Object.assign(base({}).tooltip, {formatter: (p) => 'layer ' + layers[p.value[1]] + ', expert ' + p.value[0] + '<br>' + p.value[2].toFixed(1) + '% of the layer\'s choices'}),
      xAxis: {type: 'category', name: 'expert', nameLocation: 'middle', nameGap: 28, data: Array.from({length: Math.max(...use.map((u) => u.expert)) + 1}, (_, i) => String(i))},
      yAxis: {type: 'category', name: 'layer', data: layers.map(String), inverse: true},
      visualMap: {min: 0, max: Math.max(...use.map(share)), calculable: true, orient: 'horizontal', left: 'center', top: 0, text: ['% of choices', ''],
                  textStyle: {color: css('--muted')}, inRange: {color: ['#440154', '#3b528b', '#21918c', '#5ec962', '#fde725']}},
      grid: {left: 12, right: 20, top: 64, bottom: 36, containLabel: true},
      series: [{type: 'heatmap', data: use.map((u) => [u.expert, layers.indexOf(u.layer), share(u)])}],
    });
  }

  // A table of the report; text of several lines has the first as its figure.
  function fillTable(id, table) {
    const lines = (text) => String(text).replaceAll('**', '').replaceAll('`', '').split('\n');
    const cell = (text, i) => { const [first, ...rest] = lines(text), left = table.align[i] === 'left';
      const more = rest.map(escape).join('<br>'), long = left && lines(text).some((line) => line.length > 34);
      return '<td class="' + table.align[i] + (long ? ' long' : '') + '">' + escape(first) + (!rest.length ? '' : left ? '<br>' + more : '<small>' + more + '</small>') + '</td>'; };
    byId(id).innerHTML = '<tr>' + table.columns.map((c, i) => '<th class="' + table.align[i] + '">' + c.split('\n').map(escape).join('<br>') + '</th>').join('') + '</tr>' +
      table.rows.map((row) => '<tr>' + row.map(cell).join('') + '</tr>').join('');
    return table.rows.length > 0;
  }

  function writeTables() {
    const tables = data.tables[model], document_ = data.quality[model];
    byId('questions').innerHTML = data.questions[model].map((q) => '<h3>' + escape(q.question) + '</h3>' + q.answer.map((line) => '<p>' + escape(line) + '</p>').join('')).join('');
    byId('uses').hidden = !fillTable('uses-table', tables.uses);
    byId('tasks').hidden = !fillTable('tasks-table', tables.tasks);
    byId('quality-tables').hidden = !fillTable('quality-table', tables.quality);
    byId('offload-check').hidden = !fillTable('offload-table', tables.offload);
    byId('files').hidden = !fillTable('files-table', tables.files);
    byId('quality-note').textContent = document_ ? 'Over ' + document_.n_chunks + ' chunks of ' + document_.n_ctx + ' tokens of ' + document_.text.file.split('/').pop() +
      ' (sha256 ' + document_.text.sha256 + '). ± is one standard error.' : '';
    const s = summary.settings;
    byId('method').innerHTML = [
      'Every run is a fresh process of the program that users run. Repeats are the outermost loop and placements the innermost, so that what is compared is measured back to back.',
      'Context ' + s.n_ctx + ', at most ' + s.max_tokens + ' tokens, temperature ' + s.temperature + ', seed ' + s.seed + ', ' + s.repeats + ' repeat(s).',
      'VRAM: model, KV cache and compute buffers on the device, as llama.cpp accounts for them; the driver\'s own memory is not in it.',
      'TTFT: request accepted, model loaded, to the first token. Decode rate: tokens after the first, per second. Slowdown: median decode rate of the baseline over that of the offload.',
      'Intervals: ' + summary.statistics.interval + '.', 'Outliers: ' + summary.statistics.outlier_rule + '.',
    ].map((line) => '<li>' + escape(line) + '</li>').join('');
    byId('prompts').innerHTML = s.prompts.map((p) => '<li><b>' + escape(p.id) + '</b>: ' + escape(p.text) + (p.why ? ' <span class="muted">' + escape(p.why) + '</span>' : '') + '</li>').join('');
  }

  function writeText() {
    const s = summary.settings, host = summary.host, device = summary.device;
    byId('conditions').textContent = device ? device.description + ' · ' + host.cpu + ', ' + host.n_cores + ' cores · llama.cpp ' + summary.llama_cpp_version +
      ' · ' + s.prompts.length + ' prompts × ' + s.repeats + ' repeats · context ' + s.n_ctx : 'No run has figures yet.';
    byId('software').hidden = !(device && device.software);
    byId('findings').innerHTML = data.findings.filter((f) => !f.model || f.model === model).map((f) => '<li>' + escape(f.text) + '</li>').join('') ||
      '<li>None yet: no quantization has all its runs.</li>';
    const odd = data.anomalies.filter((f) => !f.model || f.model === model);
    const gone = summary.missing.length;
    byId('anomalies').innerHTML = (odd.length ? '<p class="warning"><b>Look twice.</b></p><ul>' + odd.map((f) => '<li>' + escape(f.text) + '</li>').join('') + '</ul>' : '') +
      (gone ? '<p class="warning">' + gone + ' run(s) are missing, and what depends on them is left out: <code>' + escape(data.commands.run) + '</code></p>' : '');
    byId('provenance').textContent = (summary.first_run_at ? 'Runs from ' + summary.first_run_at + ' to ' + summary.last_run_at + '. ' : '') +
      'Made by shimmy ' + (summary.shimmy_version || '') + ' from summary.json; every figure is measured.';
    writeTables();
    byId('imported').hidden = !data.imported;
    if (data.imported) byId('imported-table').innerHTML = [data.imported.columns].concat(data.imported.rows).map((row, i) => '<tr>' + row.map((c) =>
      (i ? '<td>' : '<th>') + escape(c) + (i ? '</td>' : '</th>')).join('') + '</tr>').join('');
    const range = (x) => figure(x.median) + '<small>' + figure(x.min) + '–' + figure(x.max) + '</small>';
    const rows = summary.rows.filter((r) => r.model === model && r.at_base !== false);
    byId('table').innerHTML = '<tr>' + ['type', 'placement', 'file', 'VRAM<br>baseline', 'VRAM<br>offload', 'saved', 'TTFT, ms<br>baseline', 'TTFT, ms<br>offload',
      'decode, tok/s<br>baseline', 'decode, tok/s<br>offload', 'slowdown'].map((t) => '<th>' + t + '</th>').join('') + '</tr>' + rows.map((r) => '<tr>' +
      [escape(r.quantization), escape(r.placement), bytes(r.file_size_bytes), bytes(r.baseline.vram_bytes), bytes(r.offload.vram_bytes),
       r.saved_percent.toFixed(1) + '%<small>' + (r.saved_bytes < 0 ? '-' : '') + bytes(Math.abs(r.saved_bytes)) + '</small>', range(r.baseline.ttft_ms), range(r.offload.ttft_ms),
       range(r.baseline.decode_tps), range(r.offload.decode_tps), r.slowdown.toFixed(2) + 'x'].map((c) => '<td>' + c + '</td>').join('') + '</tr>').join('');
  }

  function drawAll() {
    writeText();
    for (const drawOne of [drawAxes, drawVram, drawSpeed, drawLatency, drawStreaming, drawLoad, drawQuality, drawFront, drawExperts]) drawOne();
  }

  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const setTheme = (isDark) => { root.dataset.theme = isDark ? 'dark' : 'light'; root.style.colorScheme = isDark ? 'dark' : 'light'; drawAll(); };
  fill(byId('model'), summary.models.map((m) => m.name));
  byId('model').addEventListener('change', () => { model = byId('model').value; drawAll(); });
  byId('latency-type').addEventListener('change', drawLatency);
  byId('axes-axis').addEventListener('change', drawAxes);
  byId('axes-figure').addEventListener('change', drawAxes);
  byId('front-cost').addEventListener('change', drawFront);
  byId('experts-type').addEventListener('change', drawExperts);
  byId('theme').addEventListener('click', () => setTheme(root.dataset.theme !== 'dark'));
  dark.addEventListener('change', (event) => setTheme(event.matches));
  let width = window.innerWidth;
  window.addEventListener('resize', () => { if (window.innerWidth !== width) { width = window.innerWidth; drawAll(); } });
  setTheme(dark.matches);
  root.dataset.ready = 'yes';
})();
